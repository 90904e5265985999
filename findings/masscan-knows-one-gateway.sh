#!/usr/bin/env bash
# masscan sends every packet to the default gateway, also where the routing table says otherwise.
# Versions: masscan 1.3.2 as in Debian 12.
# Expected: a route to a more specific network is followed, as by every program that leaves routing to the kernel.
# Seen: masscan looks up one gateway at its start and addresses each frame to it. Of two networks, one behind the default gateway
#   and one behind another, the second one's probes go to the wrong router, without a word. On a VPS with a private network, a VPN or a
#   second uplink, what is behind these is reported as silent.
# Output seen: "the kernel: 10.77.200.1 via 10.66.0.3 dev wire", "masscan: 0 of 16 probes to 10.66.0.3's MAC, 16 to the default gateway's"
# Needs: root, about 15 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

two_namespaces
debian masscan=2:1.3.2+ds1-1 libpcap0.8=1.10.3-1 ethtool=1:6.1-1 libmnl0=1.0.4-3 tcpdump=4.99.3-1
offloads_off
keep_awake
in_scanner ip neigh add 10.66.0.3 lladdr 02:00:00:00:00:03 dev wire nud permanent # the other router
in_scanner ip route add 10.77.200.0/24 via 10.66.0.3

echo "the kernel: $(in_scanner ip route get 10.77.200.1 | head -n 1)" | output
capture "$work/wire.pcap"
scan_with_masscan 10.77.200.0/28 -p80 --rate 100 --noreset -oL "$work/found" >"$work/log" 2>&1 || cannot "masscan ended with $?."
in_scanner timeout 1 bash -c 'exec 3<>/dev/tcp/10.77.200.1/81' 2>/dev/null || true # one packet of the kernel's, for comparison
end_capture
other=$(packets "$work/wire.pcap" 'tcp[13] = 2 and dst port 80 and ether dst 02:00:00:00:00:03')
default=$(packets "$work/wire.pcap" "tcp[13] = 2 and dst port 80 and ether dst $gateway_mac")
kernel=$(packets "$work/wire.pcap" 'tcp[13] = 2 and dst port 81 and ether dst 02:00:00:00:00:03')
echo "masscan: $other of 16 probes to 10.66.0.3's MAC, $default to the default gateway's" | output
echo "the kernel: $kernel connection to 10.66.0.3's MAC" | output
[ "$kernel" -ge 1 ] || cannot "the kernel did not follow its route either."
[ "$other" = 0 ] && [ "$default" = 16 ] || changed "$other of 16 probes follow the route."
holds "none of masscan's 16 probes followed the route."
