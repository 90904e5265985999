#!/usr/bin/env bash
# pytest-xdist's groups keep nothing together with pytest 9.2, without a word.
# Versions: pytest 9.2.0, pytest-xdist 3.8.0, the newest of both in November 2026; pip installs them side by side.
# Expected: with `--dist loadgroup`, tests marked with one `xdist_group` run one after another in one process: for tests
#   that need one machine's ports, or one database.
# Seen: they are spread over the processes as if nothing were marked. xdist tells the group by a suffix that it appends to the test's
#   private `_nodeid`, and pytest 9.2 no longer reads that. No warning, no error: the tests just meet each other.
#   A scheduler of one's own (the hook pytest_xdist_make_scheduler with LoadScopeScheduling) groups as before.
# Output seen: "pytest 9.2.0: one group ran in 2 processes; pytest 9.1.1: in 1"
# Needs: no root, 20 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

cat >"$work/test_group.py" <<'PYTHON'
import os, pathlib, time
import pytest
HERE = pathlib.Path(__file__).parent
@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(12))
def test_meets_nobody(number):
    time.sleep(0.2)
    with open(HERE / "seen", "a") as seen:
        seen.write(os.environ["PYTEST_XDIST_WORKER"] + "\n")
PYTHON
processes_of_the_group() { # with pytest $1: how many processes ran the tests of the one group
  rm -rf "$work/python" "$work/seen"
  python_with "pytest==$1" pytest-xdist==3.8.0
  (cd "$work" && PYTHONPATH=$work/python python3 -m pytest -q -n 2 --dist loadgroup -p no:cacheprovider test_group.py) >"$work/log" 2>&1 ||
    cannot "the tests failed: $(tail -n 1 "$work/log")"
  sort -u "$work/seen" | wc -l
}
before=$(processes_of_the_group 9.1.1)
now=$(processes_of_the_group 9.2.0)
echo "pytest 9.2.0: one group ran in $now processes; pytest 9.1.1: in $before" | output
[ "$before" = 1 ] || cannot "the group was not kept together by the version before either."
[ "$now" = 2 ] || changed "the group ran in $now process(es)."
holds "a group's tests ran in both processes."
