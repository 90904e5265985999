#!/usr/bin/env bash
# zmap ended by SIGINT or SIGTERM loses what was found in the last second or so.
# Versions: zmap 2.1.1 as in Debian 12.
# Expected: ^C keeps every finding so far; zmap writes the replies that it has received and then ends.
# Seen: rows are written once a second. Either signal ends zmap in the middle: several hundred replies at 1,000 packets/s came in and are
#   in no file, and the cooldown, in which late replies are waited for, is skipped.
# Output seen: "INT: 4086 replies came in, 3562 rows were written, exit code 130", "TERM: 4367 replies came in, 3896 rows were written, exit code 143"
# Needs: root, about 25 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

two_namespaces
debian zmap=2.1.1-2+b6 libpcap0.8=1.10.3-1 libgmp10=2:6.2.1+dfsg1-1.1 libhiredis0.14=0.14.1-3 libjson-c5=0.16-2 tcpdump=4.99.3-1
listen 80
: >"$work/empty"
for signal in INT TERM; do
  code=0
  capture "$work/wire.pcap"
  ip netns exec "$scanner" timeout --kill-after 1 40 zmap -C "$work/empty" -b "$work/empty" -i wire -S 10.66.0.2 -G "$gateway_mac" \
    -p 80 -r 1000 -o "$work/found" 10.77.0.0/18 >"$work/log" 2>&1 </dev/null &
  scan=$!
  children+=("$scan")
  sleep 4.6
  kill -s "$signal" "$(cat "/proc/$scan/task/$scan/children")"
  wait "$scan" || code=$?
  end_capture
  replies=$(packets "$work/wire.pcap" 'tcp[13] = 18')
  rows=$(grep -c '^10\.77' "$work/found" || true)
  echo "$signal: $replies replies came in, $rows rows were written, exit code $code" | output
  [ "$replies" -gt 1000 ] || cannot "only $replies replies came in 4 s."
  [ $((replies - rows)) -gt 20 ] || changed "after SIG$signal $rows of $replies replies are in the file."
done
holds "either signal loses the findings since the last second's rows."
