#!/usr/bin/env bash
# zmap's default output is "csv", but -O csv lists closed ports too, and has a header only from two fields on.
# Versions: zmap 2.1.1 as in Debian 12.
# Expected: the manual names csv as the default of --output-module, so -O csv -f saddr prints what no option prints: open ports alone. And
#   whether a CSV file has a header does not hang on how many columns it has.
# Seen: without -O zmap filters (success = 1 && repeat = 0); with -O csv the filter is gone and each refusal is a row like any finding.
#   With one field there is no header, so nothing tells the two files apart.
# Output seen: "port 81 (closed), no option: 0 rows", "port 81 (closed), -O csv -f saddr: 16 rows, the first an address"
#   "port 81 (closed), -O csv -f saddr,success: 17 rows, the first a header"
# Needs: root, about 20 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

two_namespaces
debian zmap=2.1.1-2+b6 libpcap0.8=1.10.3-1 libgmp10=2:6.2.1+dfsg1-1.1 libhiredis0.14=0.14.1-3 libjson-c5=0.16-2
# scan OPTION…: a port that nobody listens on; sets $rows and $first.
scan() {
  scan_with_zmap -p 81 -r 200 "$@" 10.77.0.0/28 >"$work/found" 2>"$work/log" || cannot "zmap ended with $?: $(tail -n 1 "$work/log")"
  rows=$(wc -l <"$work/found") first=$(head -n 1 "$work/found")
  echo "port 81 (closed), ${*:-no option}: $rows rows, the first: ${first:-none}" | output
}
scan
[ "$rows" = 0 ] || changed "without an option $rows rows came for a closed port."
scan -O csv -f saddr
[ "$rows" = 16 ] && [[ "$first" = 10.77.* ]] || changed "-O csv -f saddr gave $rows rows, the first $first."
scan -O csv -f saddr,success
[ "$rows" = 17 ] && [ "$first" = saddr,success ] || changed "-O csv -f saddr,success gave $rows rows, the first $first."
scan -O csv -f saddr --output-filter="success = 1 && repeat = 0"
[ "$rows" = 0 ] || changed "with the filter $rows rows came for a closed port."
holds "-O csv -f saddr lists 16 addresses with the port closed, the default output none."
