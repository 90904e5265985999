#!/usr/bin/env bash
# zmap ends at the second packet that cannot be sent, where its help and its manual say that it never does.
# Versions: zmap 2.1.1 as in Debian 12.
# Expected: --max-sendto-failures is -1 by default: "before scan is aborted", so never; --retries tries ten times to send a packet.
# Seen: a link that goes away in the middle of a scan ends it within a second with "maxiumum number of sendto failures (1) exceeded", exit
#   code 1.
# Output seen: "help: default=`-1'", "exit code 1: maxiumum number of sendto failures (1) exceeded"
# Needs: root, about 10 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

two_namespaces
debian zmap=2.1.1-2+b6 libpcap0.8=1.10.3-1 libgmp10=2:6.2.1+dfsg1-1.1 libhiredis0.14=0.14.1-3 libjson-c5=0.16-2
listen 80
echo "help: $(zmap --help | grep -A 1 -e --max-sendto-failures | grep -o 'default=[^)]*')" | output
code=0
scan_with_zmap -p 80 -r 500 -o "$work/found" 10.77.0.0/18 2>"$work/log" &
scan=$!
children+=("$scan")
sleep 3
ip -n "$scanner" link set wire down
wait "$scan" || code=$?
words=$(grep -o 'maxi.* exceeded' "$work/log" || true)
echo "exit code $code: $words" | output
[ "$code" = 1 ] && [[ $words == *"(1) exceeded" ]] || changed "exit code $code: $(tail -n 1 "$work/log")"
holds "a link that goes away ends zmap, by a limit that is said to be off."
