#!/usr/bin/env bash
# SIGTERM makes masscan throw away what it found; with fewer than about a hundred findings the file stays empty.
# Versions: masscan 1.3.2 as in Debian 12.
# Expected: what was found and counted so far (found=N on stderr) is in the output file, whatever signal ends it.
# Seen: rows reach the file in blocks of 4,096 bytes. SIGTERM drops the block that is not full, so all of a small scan's findings,
#   and cuts a large one's last row. After SIGINT masscan stops sending, waits --wait seconds for late replies and writes the rest.
#   So `timeout` and most supervisors, which send SIGTERM, lose a scan that ^C would have kept. All formats (-oL, -oJ, -oD, -oX,
#   -oG, -oB) do the same.
# Output seen: "TERM: found=17 on stderr, 0 bytes in the file, exit code 143", "INT: found=19 on stderr, 855 bytes in the file, exit code 0"
# Needs: root, about 25 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

two_namespaces
debian masscan=2:1.3.2+ds1-1 libpcap0.8=1.10.3-1 ethtool=1:6.1-1 libmnl0=1.0.4-3
offloads_off
listen 80
keep_awake
cd "$work" # after SIGINT masscan leaves a paused.conf where it was started

# interrupted SIGNAL: 4 s into a scan of 6 s; sets $bytes and $found.
interrupted() {
  local code=0 scan
  ip netns exec "$scanner" timeout --kill-after 1 60 \
    masscan 10.77.0.0/27 -p80-119 --interface wire --rate 200 --seed 1 --noreset --wait 3 -oL "$1" >log 2>&1 </dev/null &
  scan=$!
  children+=("$scan")
  sleep 4
  kill -s "$1" "$(cat "/proc/$scan/task/$scan/children")" # masscan itself, not timeout
  wait "$scan" || code=$?
  bytes=$(stat -c %s "$1")
  found=$(tr '\r' '\n' <log | grep -o 'found=[0-9]*' | tail -n 1 | tr -dc 0-9)
  echo "$1: found=$found on stderr, $bytes bytes in the file, exit code $code" | output
}

interrupted TERM
[ "$found" -ge 5 ] || cannot "only $found were found in 4 s."
[ "$bytes" = 0 ] || changed "after SIGTERM the file has $bytes bytes."
interrupted INT
[ "$(grep -c '^open tcp 80' INT)" = "$found" ] || changed "after SIGINT the file has $(grep -c '^open' INT) rows of $found."
holds "SIGTERM left an empty file, SIGINT all $found rows."
