#!/usr/bin/env bash
# zmap --max-targets takes its percentage of all of IPv4, whatever network was asked for.
# Versions: zmap 2.1.1 as in Debian 12.
# Expected: -n 10% of a /24 probes 25 or 26 addresses; the manual says "a percentage of the scannable address space".
# Seen: 10% are 429 million addresses, so all 256 are probed, as with 1%. Half of the /24 is -n 0.000003%.
# Output seen: "-n 10%: 256 of 256 addresses probed", "-n 0.000003%: 128 of 256 addresses probed", "-n 26: 26 of 256 addresses probed"
# Needs: root, about 25 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

two_namespaces
debian zmap=2.1.1-2+b6 libpcap0.8=1.10.3-1 libgmp10=2:6.2.1+dfsg1-1.1 libhiredis0.14=0.14.1-3 libjson-c5=0.16-2 tcpdump=4.99.3-1
# probed SHARE: sets $probed.
probed() {
  capture "$work/wire.pcap"
  scan_with_zmap -p 80 -r 1000 -n "$1" 10.77.0.0/24 >"$work/found" 2>"$work/log" || cannot "zmap ended with $?."
  end_capture
  probed=$(packets "$work/wire.pcap" 'tcp[13] = 2')
  echo "-n $1: $probed of 256 addresses probed" | output
}
probed 26
[ "$probed" = 26 ] || cannot "-n 26 probed $probed addresses."
probed 0.000003%
[ "$probed" = 128 ] || changed "-n 0.000003% probed $probed addresses."
probed 10%
[ "$probed" = 256 ] || changed "-n 10% probed $probed addresses."
holds "-n 10% of 256 addresses probed $probed of them."
