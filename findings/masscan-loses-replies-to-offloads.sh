#!/usr/bin/env bash
# masscan loses replies on an interface that has segmentation offloads on.
# Versions: masscan 1.3.2 and libpcap 1.10.3 as in Debian 12.
# Expected: offloads concern how large segments are cut; a SYN scanner that sends and gets packets of 60 bytes finds as much
#   with them as without.
# Seen: with them on (the default of nearly every interface) masscan loses a good part of the replies, although the interface
#   has received each of them. With tso, gso, gro and lro all off it finds everything (on a busy machine a percent or two less). No line or exit code tells the two apart.
#   libpcap's receive ring has a fixed number of bytes, and while an offload is on each place in it must fit 64 KiB.
# Output seen: "on: 45949 of 65536 found, 65541 packets received", "off: 65536 of 65536 found, 65538 packets received"
# Needs: root, about 40 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

two_namespaces
debian masscan=2:1.3.2+ds1-1 libpcap0.8=1.10.3-1 ethtool=1:6.1-1 libmnl0=1.0.4-3
listen 80
keep_awake

# scan NAME: sets $found and $received.
scan() {
  local before after
  before=$(in_scanner cat /sys/class/net/wire/statistics/rx_packets)
  scan_with_masscan 10.77.0.0/16 -p80 --rate 20000 --noreset -oL "$work/$1" >"$work/$1.log" 2>&1 || cannot "masscan ended with $?."
  after=$(in_scanner cat /sys/class/net/wire/statistics/rx_packets)
  found=$(grep -c '^open' "$work/$1") received=$((after - before))
  echo "$1: $found of 65536 found, $received packets received" | output
}

scan on
with=$found
offloads_off
scan off
[ "$found" -ge 60000 ] || changed "with the offloads off $found of 65536 were found."
[ $((with * 100)) -le $((found * 92)) ] || changed "with the offloads on $with of 65536 were found, with them off $found."
holds "the same scan finds $with with offloads on and $found with them off."
