#!/usr/bin/env bash
# nmap ends with exit code 0 and says nothing when its XML did not fit on the disk.
# Versions: nmap 7.93 as in Debian 12.
# Expected: a line on stderr, or an exit code other than 0, as nmap gives when it cannot open the file.
# Seen: the file cannot take a byte (/dev/full, the kernel's own full disk), and all is well: exit code 0, an empty stderr, "Nmap done".
# Output seen: "-oX /dev/full: exit code 0, 0 bytes on stderr, Nmap done: 1 IP address (1 host up)"
#   "-oX into a folder that is not there: exit code 1"
# Needs: no root, 10 s. It scans one port of 127.0.0.1.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

nmap_from_debian
printf x 2>/dev/null >/dev/full && cannot "this system has no working /dev/full."
# scan FILE: sets $code.
scan() {
  code=0
  timeout 60 nmap -n -sT -Pn -p 9 127.0.0.1 -oX "$1" >"$work/out" 2>"$work/err" </dev/null || code=$?
  echo "-oX ${1/$work/…}: exit code $code, $(stat -c %s "$work/err") bytes on stderr, $(grep -o 'Nmap done.*up)' "$work/out" || tail -n 1 "$work/err")" | output
}
scan "$work/no-such-folder/scan.xml"
[ "$code" != 0 ] || cannot "nmap does not mind a folder that is not there."
scan /dev/full
[ "$code" = 0 ] || changed "nmap ended with $code."
[ ! -s "$work/err" ] || changed "nmap said: $(head -n 1 "$work/err")"
holds "no byte of the XML was written, the exit code is 0, and no line says so."
