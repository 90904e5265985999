#!/usr/bin/env bash
# masscan's shards leave out a quarter of the addresses and probe another quarter twice, unless a seed is given.
# Versions: masscan 1.3.2 as in Debian 12.
# Expected: --shard 1/2 and --shard 2/2 of one scan are its two halves; or masscan refuses without a seed, as zmap does ("Need to specify
#   seed if sharding a scan").
# Seen: each run picks a seed of its own and takes half of another order. Together they probe about three quarters, exit code 0 both,
#   nothing said. With the same --seed on both they are the two halves.
# Output seen: "no seed: 128 + 128 probes, 195 of 256 addresses", "same seed: 128 + 128 probes, 256 of 256 addresses"
# Needs: root, about 40 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

two_namespaces
debian masscan=2:1.3.2+ds1-1 libpcap0.8=1.10.3-1 ethtool=1:6.1-1 libmnl0=1.0.4-3 tcpdump=4.99.3-1
offloads_off
keep_awake
# shards NAME [OPTION…]: sets $union.
shards() {
  local name=$1 shard sent=()
  shift
  : >"$work/probed"
  for shard in 1 2; do
    capture "$work/wire.pcap"
    in_scanner timeout --kill-after 5 60 masscan 10.77.0.0/24 -p80 --interface wire --rate 500 --wait 3 --shard "$shard/2" "$@" \
      >"$work/log" 2>&1 </dev/null || cannot "masscan ended with $?."
    end_capture
    sent+=("$(packets "$work/wire.pcap" 'tcp[13] = 2')")
    tcpdump -n -r "$work/wire.pcap" 'tcp[13] = 2' 2>/dev/null | awk '{ print $5 }' >>"$work/probed"
  done
  union=$(sort -u "$work/probed" | wc -l)
  echo "$name ${sent[0]} + ${sent[1]} probes, $union of 256 addresses" | output
}
shards "same seed:" --seed 7
[ "$union" = 256 ] || cannot "with one seed the shards probed $union of 256 addresses."
shards "no seed:  "
[ "$union" -lt 245 ] || changed "without a seed the shards probed $union of 256 addresses."
holds "without a seed two shards probed $union of 256 addresses."
