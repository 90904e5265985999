#!/usr/bin/env bash
# Of a scan of TCP and UDP ports python-libnmap tells the UDP half: so many services, that technique, that protocol.
# Versions: python-libnmap 0.7.3; nmap 7.93 as in Debian 12.
# Expected: nmap writes a <scaninfo> for each protocol; report.numservices is 4 of `-p T:1-3,U:1`, or there is one for each.
# Seen: each <scaninfo> takes the place of the one before: numservices is 1, scan_type "udp", scan_type's TCP half is nowhere.
#   The hosts' own ports are all there.
# Output seen: "nmap: syn tcp 3, udp udp 1; libnmap: udp udp 1"
# Needs: root (UDP), 10 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

as_root
python_with python-libnmap==0.7.3
nmap_from_debian
nmap -n -sS -sU -Pn -p T:1-3,U:1 -oX "$work/scan.xml" 127.0.0.1 >"$work/log" 2>&1 || cannot "nmap ended with $?."
py - "$work/scan.xml" >"$work/read" <<'PYTHON'
import sys, xml.etree.ElementTree as tree
from libnmap.parser import NmapParser
told = [" ".join((one.get("type"), one.get("protocol"), one.get("numservices"))) for one in tree.parse(sys.argv[1]).iter("scaninfo")]
report = NmapParser.parse_fromfile(sys.argv[1])
print(", ".join(told))
print(report.scan_type, report.get_raw_data()["_scaninfo"]["protocol"], report.numservices)
PYTHON
{ read -r told && read -r kept; } <"$work/read"
echo "nmap: $told; libnmap: $kept" | output
[ "$told" = "syn tcp 3, udp udp 1" ] || cannot "nmap wrote $told."
[ "$kept" = "udp udp 1" ] || changed "libnmap tells $kept."
holds "libnmap keeps the last protocol of a scan of two."
