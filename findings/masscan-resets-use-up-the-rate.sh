#!/usr/bin/env bash
# masscan spends its rate on resets, so where hosts answer it probes at half of what it was given.
# Versions: masscan 1.3.2 as in Debian 12.
# Expected: --rate is how many probes leave in a second, whatever comes back; a reset to an open port, if any, is extra.
# Seen: masscan answers each reply (SYN-ACK and refusal alike) with a reset that waits in the same queue and counts as a packet
#   sent. Where everything answers half of the rate is resets and the scan takes twice as long. With --noreset (since 1.3) it
#   probes at its rate; the kernel, which knows nothing of these connections, resets those to open ports anyway.
# Output seen: "as it comes: 8192 probes in 4.06 s, 8192 resets of masscan, 8192 of the kernel"
#   "--noreset:   8192 probes in 2.05 s, 0 resets of masscan, 8192 of the kernel"
# Needs: root, about 30 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

two_namespaces
debian masscan=2:1.3.2+ds1-1 libpcap0.8=1.10.3-1 ethtool=1:6.1-1 libmnl0=1.0.4-3 tcpdump=4.99.3-1
offloads_off
listen 80
keep_awake

# scan NAME [OPTION]: sets $seconds, from the first to the last probe, and $resets.
scan() {
  local name=$1
  shift
  capture "$work/wire.pcap"
  scan_with_masscan 10.77.0.0/19 -p80 --rate 4000 "$@" -oL "$work/found" >"$work/log" 2>&1 || cannot "masscan ended with $?."
  end_capture
  local syn='tcp[13] = 2' rst='tcp[13] & 4 != 0 and src 10.66.0.2'
  seconds=$(tcpdump -n -tt -r "$work/wire.pcap" "$syn" 2>/dev/null | awk 'NR == 1 { first = $1 } { last = $1 } END { printf "%.2f", last - first }')
  resets=$(packets "$work/wire.pcap" "$rst and ip[8] > 64")
  echo "$name $(packets "$work/wire.pcap" "$syn") probes in $seconds s, $resets resets of masscan, $(packets "$work/wire.pcap" "$rst and ip[8] <= 64") of the kernel" | output
}

scan "as it comes:"
slow=$seconds own=$resets
scan "--noreset:  " --noreset
[ "$own" -ge 7000 ] || changed "masscan sent $own resets for 8192 open ports."
[ "$resets" = 0 ] || changed "masscan sent $resets resets with --noreset."
awk "BEGIN { exit !($slow > 1.6 * $seconds) }" || changed "8192 probes took $slow s with resets and $seconds s without."
holds "the same probes at the same rate took $slow s with resets, $seconds s without."
