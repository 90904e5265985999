#!/usr/bin/env bash
# masscan refuses the paused.conf that it wrote itself a moment ago.
# Versions: masscan 1.3.2 as in Debian 12.
# Expected: ^C writes paused.conf, `masscan --resume paused.conf` goes on where it stopped.
# Seen: with the options of a plain scan, the file has a line "nocapture = servername" that masscan itself does not know as an
#   option of a file. It stops before the first packet, exit code 1. Without that line the scan goes on, sends about a tenth of a
#   second's probes a second time, and appends to the first run's results: the union is whole.
# Output seen: "as written: exit code 1, CONF: unknown config option: nocapture=servername"
#   "without that line: 2486 probes before, 1722 after, 4096 of 4096 addresses probed"
# Needs: root, about 20 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

two_namespaces
debian masscan=2:1.3.2+ds1-1 libpcap0.8=1.10.3-1 ethtool=1:6.1-1 libmnl0=1.0.4-3 tcpdump=4.99.3-1
offloads_off
listen 80
keep_awake
cd "$work"

capture first.pcap
ip netns exec "$scanner" timeout --kill-after 1 60 \
  masscan 10.77.0.0/20 -p80 --interface wire --rate 1000 --noreset --wait 2 -oL found >log 2>&1 </dev/null &
scan=$!
children+=("$scan")
sleep 2.5
kill -INT "$(cat "/proc/$scan/task/$scan/children")"
wait "$scan" || true
end_capture
[ -s paused.conf ] || cannot "masscan left no paused.conf after SIGINT."

code=0
scan_with_masscan --resume paused.conf >refused 2>&1 || code=$?
echo "as written: exit code $code, $(grep -m 1 CONF refused || tail -n 1 refused)" | output
[ "$code" != 0 ] || changed "masscan resumes its own file."
grep -q 'unknown config option: nocapture' refused || changed "masscan refuses the file for another reason."

grep -v '^nocapture' paused.conf >mended.conf
capture second.pcap
scan_with_masscan --resume mended.conf >log 2>&1 || cannot "masscan ended with $? without that line too."
end_capture
before=$(packets first.pcap 'tcp[13] = 2') after=$(packets second.pcap 'tcp[13] = 2')
union=$(for file in first.pcap second.pcap; do tcpdump -n -r "$file" 'tcp[13] = 2' 2>/dev/null; done | awk '{ print $5 }' | sort -u | wc -l)
echo "without that line: $before probes before, $after after, $union of 4096 addresses probed" | output
[ "$union" = 4096 ] || changed "together the two runs probed $union of 4096 addresses."
holds "masscan's own paused.conf is refused; without one line of it the scan goes on and repeats $((before + after - union)) probes."
