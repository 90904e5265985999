#!/usr/bin/env bash
# masscan --retries adds a second of the full rate for each retry, so a small scan sends many times what one would count.
# Versions: masscan 1.3.2 as in Debian 12.
# Expected: `--retries 2` of 256 probes sends at most 3 x 256 packets, and only silent hosts are tried again.
# Seen: it sends (probes + retries x rate) x (retries + 1), whoever has answered: 256 probes at 1,000 packets/s with two retries
#   are 6,768 packets, every address up to 27 times in eight seconds. Its percentage and its time left count by the same padded sum.
# Output seen: "retries 0: 256 packets", "retries 1: 2512 packets", "retries 2: 6768 packets, at most 27 to one address"
# Needs: root, about 40 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

two_namespaces
debian masscan=2:1.3.2+ds1-1 libpcap0.8=1.10.3-1 ethtool=1:6.1-1 libmnl0=1.0.4-3 tcpdump=4.99.3-1
offloads_off
listen 80
keep_awake

for retries in 0 1 2; do
  capture "$work/wire.pcap"
  scan_with_masscan 10.77.0.0/24 -p80 --rate 1000 --retries "$retries" --noreset -oL "$work/found" >"$work/log" 2>&1 || cannot "masscan ended with $?."
  end_capture
  sent=$(packets "$work/wire.pcap" 'tcp[13] = 2')
  most=$(tcpdump -n -r "$work/wire.pcap" 'tcp[13] = 2' 2>/dev/null | awk '{ print $5 }' | sort | uniq -c | sort -rn | awk 'NR == 1 { print $1 }')
  formula=$(((256 + retries * 1000) * (retries + 1)))
  echo "retries $retries: $sent packets, at most $most to one address; formula $formula" | output
  [ $((sent - formula)) -le $((formula / 50)) ] && [ $((formula - sent)) -le $((formula / 50)) ] ||
    changed "with $retries retries $sent packets left, not about $formula."
done
holds "256 probes with two retries at 1,000 packets/s are $sent packets."
