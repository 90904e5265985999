#!/usr/bin/env bash
# To ndiff one address is two hosts when one scan has a name for it and the other has none: what changed on it is not told.
# Versions: nmap 7.93 and ndiff 7.93 as in Debian 12.
# Expected: of a scan of 127.0.0.1 and one of localhost with one more open port, ndiff tells of that port.
# Seen: hosts are paired by address and first name together. The host is listed whole as gone and whole as new, with the port that
#   was open all the time on both sides. Asked by its address both times, ndiff tells of the one port. The same happens where a reverse name
#   came or went between two scans.
# Output seen: "by address and by name: 0 changed ports, 2 whole hosts", "by address twice: 1 changed ports, 0 whole hosts"
# Needs: no root, 10 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

nmap_from_debian ndiff=7.93+dfsg1-1
ndiff() { PYTHONPATH=$work/debian/usr/lib/python3/dist-packages python3 -c 'import sys, ndiff; sys.exit(ndiff.main())' "$@"; }
ports 2
python3 -c '
import socket, sys, time
held = [socket.create_server(("127.0.0.1", int(port)), backlog=64) for port in sys.argv[1:]]
print("ready", flush=True)
time.sleep(600)' "${free[@]}" >"$work/listening" &
children+=($!)
until grep -q ready "$work/listening"; do sleep 0.1; done

scan() { nmap -n -sT -Pn --unprivileged -p "$2" -oX "$work/$3" "$1" >"$work/log" 2>&1 || cannot "nmap ended with $?."; }
scan 127.0.0.1 "${free[0]}" before.xml
scan 127.0.0.1 "${free[0]},${free[1]}" after.xml
scan localhost "${free[0]},${free[1]}" named.xml
grep -q 'addr="127.0.0.1"' "$work/named.xml" || cannot "localhost is not 127.0.0.1 here."

# compare FILE: "changed ports, whole hosts" between before.xml and it.
compare() {
  local ended=0
  ndiff --xml "$work/before.xml" "$work/$1" >"$work/difference" || ended=$?
  [ "$ended" = 1 ] || cannot "ndiff ended with $ended."
  python3 - "$work/difference" <<'PYTHON'
import sys, xml.etree.ElementTree as tree
difference = tree.parse(sys.argv[1]).getroot()
whole = len(difference.findall("scandiff/hostdiff/a/host")) + len(difference.findall("scandiff/hostdiff/b/host"))
print(f"{sum(1 for _ in difference.iter('portdiff'))} changed ports, {whole} whole hosts")
PYTHON
}
named=$(compare named.xml) same=$(compare after.xml)
echo "by address and by name: $named" | output
echo "by address twice: $same" | output
[ "$same" = "1 changed ports, 0 whole hosts" ] || changed "asked by address twice, ndiff tells of $same."
[ "$named" = "0 changed ports, 2 whole hosts" ] || changed "asked by address and by name, ndiff tells of $named."
holds "an address that one of two scans has a name for is two hosts to ndiff."
