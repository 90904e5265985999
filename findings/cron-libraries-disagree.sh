#!/usr/bin/env bash
# One cron line runs at other times with each library, when the clock changes and where day fields meet.
# Versions: croniter 7.0.0, cronsim 2.8 (Python), cronexpr 1.1.3 (Go: the one in Nomad 1.11.3's periodic jobs).
# Expected: "30 2 * * *" in Europe/Berlin runs once a day, on the days of the clock change too; "0 0 */2 * 1" means the same everywhere.
# Seen: in spring, when 02:30 does not exist, the Python ones run at 03:00 and cronexpr leaves the day out. In autumn, when 02:30 comes
#   twice, cronsim runs once, croniter and cronexpr twice. For "0 0 */2 * 1" croniter and cronexpr take odd days or Mondays, cronsim odd
#   days that are Mondays (as cron itself does, for a day field that begins with a star).
# Output seen: "spring: croniter 1 run on 29 March, cronsim 1, cronexpr 0", "autumn: croniter 2 runs on 25 October, cronsim 1, cronexpr 2"
#   "0 0 */2 * 1: croniter 18 runs in November, cronsim 2, cronexpr 18"
# Needs: Go 1.21 or later, the tz database; no root, 15 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

python_with croniter==7.0.0 cronsim==2.8 tzdata==2026.6
command -v go >/dev/null || cannot "there is no Go."
mkdir "$work/cronexpr"
printf '%s\n' 'module finding.invalid/cron' 'go 1.21' 'require github.com/hashicorp/cronexpr v1.1.3' >"$work/cronexpr/go.mod"
cat >"$work/cronexpr/main.go" <<'GO'
package main

import (
	"fmt"
	"os"
	"time"
	_ "time/tzdata"

	"github.com/hashicorp/cronexpr"
)

func main() { // EXPRESSION FROM TO: how many runs lie between
	zone, _ := time.LoadLocation("Europe/Berlin")
	at, _ := time.ParseInLocation("2006-01-02", os.Args[2], zone)
	end, _ := time.ParseInLocation("2006-01-02", os.Args[3], zone)
	line, runs := cronexpr.MustParse(os.Args[1]), 0
	for at = line.Next(at.Add(-time.Second)); at.Before(end) && runs < 100; at = line.Next(at) {
		runs++
	}
	fmt.Println(runs)
}
GO
(cd "$work/cronexpr" && go build -mod=mod -o ../expr . >../build.log 2>&1) || cannot "cronexpr does not build: $(tail -n 1 "$work/build.log")"
cat >"$work/runs.py" <<'PYTHON'
import datetime, sys, zoneinfo
from croniter import croniter
from cronsim import CronSim
zone = zoneinfo.ZoneInfo("Europe/Berlin")
line, begin, end = sys.argv[1], *(datetime.datetime.fromisoformat(day).replace(tzinfo=zone) for day in sys.argv[2:])
def count(following):
    runs = 0
    while following().timestamp() < end.timestamp() and runs < 100: runs += 1
    return runs
before, walk = begin - datetime.timedelta(seconds=1), croniter(line, begin - datetime.timedelta(seconds=1))
print(count(lambda: walk.get_next(datetime.datetime)), count(CronSim(line, before).__next__))
PYTHON
# runs EXPRESSION FROM TO EXPECTED
runs() {
  local seen
  seen="$(py "$work/runs.py" "$1" "$2" "$3") $("$work/expr" "$1" "$2" "$3")"
  read -r croniter cronsim cronexpr <<<"$seen"
  echo "$1 from $2 to $3: croniter $croniter, cronsim $cronsim, cronexpr $cronexpr" | output
  [ "$seen" = "$4" ] || changed "\"$1\" from $2 to $3: $seen runs instead of $4."
}
runs '30 2 * * *' 2026-03-29 2026-03-30 '1 1 0'
runs '30 2 * * *' 2026-10-25 2026-10-26 '2 1 2'
runs '0 0 */2 * 1' 2026-11-01 2026-12-01 '18 2 18'
runs '30 2 * * *' 2026-06-01 2026-07-01 '30 30 30' # an ordinary month, where all agree
holds "three libraries, and no two agree on all three lines."
