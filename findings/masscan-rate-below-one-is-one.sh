#!/usr/bin/env bash
# masscan sends a packet a second however much slower it was asked to be.
# Versions: masscan 1.3.2 as in Debian 12.
# Expected: --rate takes fractions (its status shows kpps with two decimals), so --rate 0.2 is a packet each five seconds; or it is refused.
# Seen: 0.2 is taken without a word, and a packet leaves each second: five times the asked rate.
# Output seen: "--rate 0.2: 8 probes, 7.0 s from the first to the last (35 s were asked for)"
# Needs: root, about 20 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

two_namespaces
debian masscan=2:1.3.2+ds1-1 libpcap0.8=1.10.3-1 ethtool=1:6.1-1 libmnl0=1.0.4-3 tcpdump=4.99.3-1
offloads_off
keep_awake
capture "$work/wire.pcap"
scan_with_masscan 10.77.0.0/29 -p80 --rate 0.2 --noreset -oL "$work/found" >"$work/log" 2>&1 || cannot "masscan ended with $?."
end_capture
probes=$(packets "$work/wire.pcap" 'tcp[13] = 2')
seconds=$(tcpdump -n -tt -r "$work/wire.pcap" 'tcp[13] = 2' 2>/dev/null | awk 'NR == 1 { first = $1 } { last = $1 } END { printf "%.1f", last - first }')
echo "--rate 0.2: $probes probes, $seconds s from the first to the last (35 s were asked for)" | output
[ "$probes" = 8 ] || changed "$probes probes left instead of 8."
awk "BEGIN { exit !($seconds > 5 && $seconds < 12) }" || changed "8 probes took $seconds s."
holds "8 probes left within $seconds s at --rate 0.2."
