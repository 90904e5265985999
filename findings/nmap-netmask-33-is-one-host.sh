#!/usr/bin/env bash
# nmap scans one host where the network's mask makes no sense, and looks up a reversed range as a host name.
# Versions: nmap 7.93 as in Debian 12.
# Expected: 127.0.0.0/33 and 127.0.0.9-3 are refused with an exit code other than 0, as nmap refuses a reversed range of ports.
# Seen: a /33 (say, a slip of the finger for /23) becomes a /32: one host is scanned, with a line on stderr, exit code 0, success in the XML. 127.0.0.9-3 is
#   taken for a name and goes to the name server; when that knows nothing, exit code 0 again.
# Output seen: "127.0.0.0/33: exit code 0, exit="success" total="1", Illegal netmask in "127.0.0.0/33". Assuming /32 (one host)"
#   "127.0.0.9-3: exit code 0, exit="success" total="0", Failed to resolve "127.0.0.9-3"."
# Needs: no root, 10-30 s. It scans one port of a loopback address.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

nmap_from_debian
# scan OPTION…: sets $code, $said.
scan() {
  code=0
  timeout 100 nmap -n -sT -Pn "$@" -oX "$work/scan.xml" >"$work/out" 2>"$work/err" </dev/null || code=$?
  said=$(grep -oE 'exit="[a-z]*"|total="[0-9]*"' "$work/scan.xml" | xargs -d '\n')
  echo "$*: exit code $code, $said, $(grep -v '^WARNING' "$work/err" | head -n 1)" | output
}
scan -p 9-8 127.0.0.1
[ "$code" != 0 ] || cannot "nmap takes a reversed range of ports."
scan -p 9 127.0.0.0/33
[ "$code $said" = '0 exit="success" total="1"' ] || changed "a /33: exit code $code, $said"
scan -p 9 127.0.0.9-3
[ "$code $said" = '0 exit="success" total="0"' ] && grep -q 'Failed to resolve' "$work/err" || changed "a reversed range: exit code $code, $said"
holds "a mask of 33 is one host, a reversed range is a name, and both are a success."
