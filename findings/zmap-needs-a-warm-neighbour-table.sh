#!/usr/bin/env bash
# zmap does not ask for its gateway's MAC: where the kernel has not just talked to the gateway, it sends nothing.
# Versions: zmap 2.1.1 as in Debian 12.
# Expected: a scanner that writes Ethernet frames asks for the gateway's MAC by ARP itself, as masscan does.
# Seen: with an empty neighbour table zmap ends at once with exit code 1 and sends nothing, not even the question. The same scan with the
#   MAC given (-G) finds everything, the table still empty. (In another state of the table zmap 2.1.1 may wait for ever instead;
#   that is left out here. -i, -S and -G avoid both.)
# Output seen: "without -G: exit code 1, 0 packets sent, [FATAL] zmap: could not detect GW MAC address for 10.66.0.1 on wire."
#   "with -G: exit code 0, 256 of 256 found"
# Needs: root, about 15 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

two_namespaces
debian zmap=2.1.1-2+b6 libpcap0.8=1.10.3-1 libgmp10=2:6.2.1+dfsg1-1.1 libhiredis0.14=0.14.1-3 libjson-c5=0.16-2
listen 80
: >"$work/empty"
sent() { in_scanner cat /sys/class/net/wire/statistics/tx_packets; }

in_scanner sh -c "echo 1 >/proc/sys/net/ipv6/conf/wire/disable_ipv6" # so that nothing else sends here
in_scanner ip neigh flush dev wire
before=$(sent) code=0
in_scanner timeout --kill-after 2 10 zmap -C "$work/empty" -b "$work/empty" -i wire -p 80 10.77.0.0/24 >"$work/found" 2>"$work/log" </dev/null || code=$?
packets=$(($(sent) - before))
echo "without -G: exit code $code, $packets packets sent, $(grep -o '\[FATAL\].*' "$work/log")" | output
[ "$code" = 1 ] && grep -q 'could not detect GW MAC' "$work/log" || changed "zmap ended with $code: $(tail -n 1 "$work/log")"
[ "$packets" = 0 ] || changed "zmap sent $packets packets first."
scan_with_zmap -p 80 -r 1000 10.77.0.0/24 >"$work/found" 2>"$work/log" || changed "with -G zmap ended with $?."
found=$(wc -l <"$work/found")
echo "with -G: exit code 0, $found of 256 found" | output
[ "$found" = 256 ] || changed "with -G $found of 256 were found."
holds "zmap asks nobody for the gateway's MAC; given it, it finds all."
