#!/usr/bin/env bash
# In python-libnmap a host equals itself with another open port, and diff() calls the new port removed.
# Versions: python-libnmap 0.7.3.
# Expected: yesterday's host == today's host is False when a port has opened since, so that a set or an `if` notices it;
#   yesterday.diff(today).added() names that port.
# Seen: == compares address, status and host names alone and says True. diff() names the port, but under removed(): added() is what the
#   left one has and the right one has not.
# Output seen: "equal: True", "yesterday.diff(today): added: none, removed: NmapService::tcp.443"
# Needs: no root, 10 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

python_with python-libnmap==0.7.3
py - >"$work/read" <<'PYTHON'
from libnmap.parser import NmapParser
def host(*ports):
    rows = "".join(f'<port protocol="tcp" portid="{port}"><state state="open" reason="syn-ack" reason_ttl="64"/></port>' for port in ports)
    return NmapParser.parse('<nmaprun scanner="nmap" args="" start="1" version="7.93"><host><status state="up" reason="syn-ack"/>'
        f'<address addr="192.0.2.1" addrtype="ipv4"/><ports>{rows}</ports></host><runstats><finished time="2" elapsed="1" exit="success"/>'
        '<hosts up="1" down="0" total="1"/></runstats></nmaprun>').hosts[0]
yesterday, today = host(80), host(80, 443)
assert (len(yesterday.get_open_ports()), len(today.get_open_ports())) == (1, 2)
difference = yesterday.diff(today)
print(yesterday == today, *(",".join(sorted(names)) or "none" for names in (difference.added(), difference.removed())))
PYTHON
read -r equal added removed <"$work/read"
echo "equal: $equal" | output
echo "yesterday.diff(today): added: $added, removed: $removed" | output
[ "$equal" = True ] || changed "hosts with other ports are no longer equal."
[ "$added $removed" = "none NmapService::tcp.443" ] || changed "added: $added, removed: $removed."
holds "two hosts that differ by an open port are equal, and the new port counts as removed."
