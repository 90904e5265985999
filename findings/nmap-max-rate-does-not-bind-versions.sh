#!/usr/bin/env bash
# nmap --max-rate holds for the port scan alone: -sV sends as fast as it can.
# Versions: nmap 7.93 as in Debian 12.
# Expected: --max-rate 20 means that nmap sends no more than about 20 packets a second, whatever else it was asked to do.
# Seen: the port scan keeps to it; the version detection after it opens its connections in bursts of some thousand packets a second.
# Output seen: "port scan alone: busiest second 21 packets", "with -sV: busiest second 2704 packets"
# Needs: root, about 40 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

two_namespaces
nmap_from_debian tcpdump=4.99.3-1
ip netns exec "$target" python3 -c '
import selectors, socket
ports = selectors.DefaultSelector()
for port in range(9001, 9101): ports.register(socket.create_server(("0.0.0.0", port), backlog=64), selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in ports.select():
        with key.fileobj.accept()[0] as peer: peer.send(b"hello\r\n")' >"$work/listening" &
children+=($!)
until [ -s "$work/listening" ]; do sleep 0.1; done
# scan NAME [OPTION]: 100 open ports; sets $busiest, the packets that nmap sent in its busiest second.
scan() {
  local name=$1
  shift
  capture "$work/wire.pcap"
  in_scanner timeout 100 nmap -n -Pn -sS --max-rate 20 -p 9001-9100 "$@" 10.77.0.1 >"$work/out" 2>&1 </dev/null || cannot "nmap ended with $?."
  end_capture
  # the kernel's own resets to the port scan's answers are no packets of nmap
  busiest=$(tcpdump -n -tt -r "$work/wire.pcap" 'src 10.66.0.2 and tcp[13] & 4 = 0' 2>/dev/null | cut -d. -f1 | sort | uniq -c | sort -rn | awk 'NR == 1 { print $1 }')
  echo "$name busiest second $busiest packets" | output
}
scan "port scan alone:"
[ "$busiest" -le 45 ] || cannot "the port scan alone sent $busiest packets in a second."
scan "with -sV:" -sV --version-intensity 2
[ "$busiest" -ge 100 ] || changed "with -sV the busiest second had $busiest packets."
holds "asked for 20 packets a second, -sV sent $busiest in one."
