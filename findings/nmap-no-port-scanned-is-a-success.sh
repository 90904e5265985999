#!/usr/bin/env bash
# nmap skips ports of a protocol that it was not told to scan, and reports the host as scanned.
# Versions: nmap 7.93 as in Debian 12.
# Expected: asked for UDP ports without -sU nmap stops, or scans them; what it does not scan is no success.
# Seen: a warning on stderr, then a host that is up, without a port, exit code 0 and success in the XML: the same as a host with nothing
#   open. With T:9,U:53 the TCP half is scanned and the UDP half is missing, and <scaninfo> tells of TCP alone.
# Output seen: "-p U:53: exit code 0, exit="success" up="1", ports tried: none", "-p T:9,U:53: exit code 0, exit="success" up="1", ports tried: tcp 9"
# Needs: no root, 10 s. It scans one port of 127.0.0.1.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

nmap_from_debian
# scan PORTS: sets $said.
scan() {
  local code=0 tried
  timeout 60 nmap -n -sT -Pn -p "$1" 127.0.0.1 -oX "$work/scan.xml" >"$work/out" 2>"$work/err" </dev/null || code=$?
  tried=$(grep -oE '<port protocol="[a-z]+" portid="[0-9]+"' "$work/scan.xml" | sed -E 's/.*"([a-z]+)".*"([0-9]+)"/\1 \2/' | xargs -d '\n' || true)
  said="exit code $code, $(grep -oE 'exit="[a-z]*"|hosts up="[0-9]*"' "$work/scan.xml" | sed 's/hosts //' | xargs -d '\n'), ports tried: ${tried:-none}"
  echo "-p $1: $said; $(head -n 1 "$work/err")" | output
}
scan U:53
[ "$said" = 'exit code 0, exit="success" up="1", ports tried: none' ] || changed "-p U:53: $said"
scan T:9,U:53
[ "$said" = 'exit code 0, exit="success" up="1", ports tried: tcp 9' ] || changed "-p T:9,U:53: $said"
holds "a scan of no port at all is a success with a host up."
