#!/usr/bin/env bash
# masscan ends with exit code 0 and says nothing when its results did not fit on the disk.
# Versions: masscan 1.3.2 as in Debian 12.
# Expected: a line on stderr or an exit code other than 0 when results that were asked for could not be written.
# Seen: the file ends in the middle, with what the disk could hold; the last status line tells the full count, the exit code is 0.
# Output seen: "found=4096 on stderr, exit code 0, 1637 of 4096 rows on the full disk; lines of the log that name the trouble: 0"
# Needs: root, about 20 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

two_namespaces
debian masscan=2:1.3.2+ds1-1 libpcap0.8=1.10.3-1 ethtool=1:6.1-1 libmnl0=1.0.4-3
offloads_off
listen 80
keep_awake
mkdir "$work/disk"
mount -t tmpfs -o size=64k finding "$work/disk"
mounts+=("$work/disk")

code=0
scan_with_masscan 10.77.0.0/20 -p80 --rate 4000 --noreset -oL "$work/disk/found" >"$work/log" 2>&1 || code=$?
free=$(df --output=avail "$work/disk" | tail -n 1 | tr -d ' ')
rows=$(grep -c '^open tcp 80 10\.77\.[0-9]*\.[0-9]* ' "$work/disk/found" || true)
told=$(tr '\r' '\n' <"$work/log" | grep -o 'found=[0-9]*' | tail -n 1)
complaints=$(tr '\r' '\n' <"$work/log" | grep -ciE 'space|disk|write|fail|error|ENOSPC' || true)
echo "$told on stderr, exit code $code, $rows of 4096 rows on the full disk ($free KiB free); lines of the log that name the trouble: $complaints" | output
[ "$told" = found=4096 ] || cannot "the scan itself found $told instead of 4096."
[ "$rows" -lt 4096 ] || changed "all rows fit on a disk of 64 KiB."
[ "$code" = 0 ] || changed "masscan now ends with $code."
[ "$complaints" = 0 ] || changed "masscan now says something about the disk."
holds "$((4096 - rows)) rows are lost, the exit code is 0, and no line says so."
