#!/usr/bin/env bash
# masscan complains of --rate 2k and scans all the same, at the rate it has by default.
# Versions: masscan 1.3.2 as in Debian 12.
# Expected: a rate that cannot be read ends the run before the first packet, as an unknown option does; or 2k is 2,000.
# Seen: one line on stderr, then the scan at 100 packets a second, exit code 0. A scan that was sized for an hour takes most of a day, and
#   where a configuration file gave a rate before, that one stays in force.
# Output seen: "--rate 2k: CONF: non-digit in rate spec: rate=2k; 256 probes in 2.6 s (98/s), exit code 0"
# Needs: root, about 20 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

two_namespaces
debian masscan=2:1.3.2+ds1-1 libpcap0.8=1.10.3-1 ethtool=1:6.1-1 libmnl0=1.0.4-3 tcpdump=4.99.3-1
offloads_off
keep_awake
capture "$work/wire.pcap"
code=0
scan_with_masscan 10.77.0.0/24 -p80 --noreset --rate 2k >"$work/log" 2>&1 || code=$?
end_capture
probes=$(packets "$work/wire.pcap" 'tcp[13] = 2')
seconds=$(tcpdump -n -tt -r "$work/wire.pcap" 'tcp[13] = 2' 2>/dev/null | awk 'NR == 1 { first = $1 } { last = $1 } END { printf "%.1f", last - first }')
echo "--rate 2k: $(grep -m 1 CONF "$work/log" || true); $probes probes in $seconds s, exit code $code" | output
[ "$code" = 0 ] && [ "$probes" = 256 ] || changed "exit code $code, $probes probes."
awk "BEGIN { exit !($seconds > 1.5 && $seconds < 5) }" || changed "256 probes took $seconds s, which is not about 100/s."
holds "a rate that it could not read did not stop the scan: 256 probes in $seconds s."
