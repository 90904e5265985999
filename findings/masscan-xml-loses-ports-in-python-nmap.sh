#!/usr/bin/env bash
# masscan's XML, "like nmap's", loses all but one port of each host in python-nmap.
# Versions: masscan 1.3.2 as in Debian 12; python-nmap 0.7.1; python-libnmap 0.7.3.
# Expected: masscan's -oX follows nmap's format, so nmap's parsers read the same findings from it.
# Seen: masscan writes a <host> for each open port and counts them as hosts (up="6" for two addresses). python-nmap files hosts by
#   address, and the last one wins: one port a host is left of three, without a warning. libnmap keeps six hosts, of which get_host_byid gives one.
# Output seen: "masscan found 6 open ports of 2 addresses and says hosts up="6"", "python-nmap: 2 ports", "libnmap: 6 hosts, 6 ports"
# Needs: root, about 20 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

python_with python-nmap==0.7.1 python-libnmap==0.7.3
two_namespaces
debian masscan=2:1.3.2+ds1-1 libpcap0.8=1.10.3-1 ethtool=1:6.1-1 libmnl0=1.0.4-3
nmap_from_debian # python-nmap wants to find one before it parses anything
offloads_off
listen 80 443 8080
keep_awake
scan_with_masscan 10.77.0.0/31 -p80,443,8080 --rate 100 --noreset -oX "$work/scan.xml" >"$work/log" 2>&1 || cannot "masscan ended with $?."
said=$(grep -o 'up="[0-9]*"' "$work/scan.xml")
py - "$work/scan.xml" >"$work/read" <<'PYTHON' || cannot "the parsers do not take masscan's XML."
import sys, nmap
from libnmap.parser import NmapParser
text = open(sys.argv[1]).read()
found = nmap.PortScanner().analyse_nmap_xml_scan(text)["scan"]
report = NmapParser.parse(text)
print(sum(len(host.get("tcp", {})) for host in found.values()), len(report.hosts), sum(len(host.get_open_ports()) for host in report.hosts))
PYTHON
read -r with_python_nmap hosts with_libnmap <"$work/read"
echo "masscan found $(grep -c '<port ' "$work/scan.xml") open ports of 2 addresses and says hosts $said" | output
echo "python-nmap: $with_python_nmap ports; libnmap: $hosts hosts, $with_libnmap ports" | output
[ "$(grep -c '<port ' "$work/scan.xml")" = 6 ] || cannot "masscan did not find the 6 open ports."
[ "$said" = 'up="6"' ] || changed "masscan says hosts $said."
[ "$with_python_nmap" = 2 ] || changed "python-nmap reads $with_python_nmap ports."
[ "$hosts $with_libnmap" = "6 6" ] || changed "libnmap reads $hosts hosts with $with_libnmap ports."
holds "python-nmap reads $with_python_nmap of 6 findings from masscan's XML."
