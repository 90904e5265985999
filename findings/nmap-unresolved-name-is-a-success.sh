#!/usr/bin/env bash
# nmap that cannot resolve any of its targets ends with exit code 0, and its XML says success.
# Versions: nmap 7.93 as in Debian 12.
# Expected: an exit code other than 0, or at least a word in the XML, when a target that was asked for could not even be looked up.
# Seen: a line on stderr is all. The XML says exit="success" with no hosts, like a scan of hosts that are down; of two targets the one
#   that resolved is there, and nothing in the file tells that another was asked for (but the copy of the command line).
# Output seen: "one name: exit code 0, XML: exit="success" total="0"", "a name and an address: exit code 0, XML: exit="success" total="1""
#   "stderr: Failed to resolve "no-such-name.invalid"."
# Needs: no root, 5-30 s. It scans one port of 127.0.0.1; .invalid is a name that never exists (RFC 2606).
set -euo pipefail
source "$(dirname "$0")/lib.sh"

nmap_from_debian
# scan TARGET…: sets $code and $said, what the XML says of the end.
scan() {
  code=0
  timeout 100 nmap -n -sT -Pn -p 9 "$@" -oX "$work/scan.xml" >"$work/out" 2>"$work/err" </dev/null || code=$?
  said=$(grep -oE 'exit="[a-z]*"|total="[0-9]*"' "$work/scan.xml" | xargs -d '\n')
  echo "$*: exit code $code, XML: $said; stderr: $(head -n 1 "$work/err")" | output
}
scan no-such-name.invalid
grep -q 'Failed to resolve' "$work/err" || cannot "something here resolves .invalid."
[ "$code $said" = '0 exit="success" total="0"' ] || changed "one name that does not resolve: exit code $code, $said"
scan no-such-name.invalid 127.0.0.1
[ "$code $said" = '0 exit="success" total="1"' ] || changed "with an address beside it: exit code $code, $said"
[ "$(grep -c no-such-name "$work/scan.xml")" -le 2 ] && ! grep -q '<target' "$work/scan.xml" || changed "the XML now names the target that was left out."
holds "exit code 0 and success in the XML, with none or one of two targets scanned."
