#!/usr/bin/env bash
# masscan, which has sent everything and only waits for late replies, wakes thousands of times a second.
# Versions: masscan 1.3.2 as in Debian 12.
# Expected: during --wait it sleeps until a packet comes or the wait is over.
# Seen: its sender goes on in steps of 0.1 ms, as while it sends at full speed. Many masscans that only wait fill a processor.
# Output seen: "one probe sent, then waiting: 5281 wake-ups a second of its busiest thread"
# Needs: root, about 15 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

two_namespaces
debian masscan=2:1.3.2+ds1-1 libpcap0.8=1.10.3-1 ethtool=1:6.1-1 libmnl0=1.0.4-3
keep_awake
cd "$work"

ip netns exec "$scanner" timeout --kill-after 1 60 \
  masscan 10.77.0.1 -p80 --interface wire --rate 100 --noreset --wait 8 -oL found >log 2>&1 </dev/null &
scan=$!
children+=("$scan")
sleep 3
grep -q 'waiting' log || cannot "masscan does not say that it waits: $(tail -c 200 log)"
masscan=$(cat "/proc/$scan/task/$scan/children")
wakeups() { awk '/^voluntary/ { if ($2 > most) most = $2 } END { print most }' /proc/"${masscan// /}"/task/*/status; }
before=$(wakeups)
sleep 3
each=$((($(wakeups) - before) / 3))
echo "one probe sent, then waiting: $each wake-ups a second of its busiest thread" | output
[ "$each" -gt 1000 ] || changed "masscan wakes $each times a second while it waits."
holds "a masscan that has nothing left to send wakes $each times a second."
