#!/usr/bin/env bash
# nmap scans an address as often as it is named, and counts it as so many hosts.
# Versions: nmap 7.93 as in Debian 12.
# Expected: overlapping targets are one set, as for masscan and zmap, which probe each address once.
# Seen: an address and a network that holds it give two reports of one machine; the summary counts both, and -iL lists put together
#   from several sources scan their common part again. A consumer that counts hosts must do it by address.
# Output seen: "127.0.0.1 127.0.0.0/31 127.0.0.1: 4 hosts up of 4, 4 reports of 2 addresses, 4 connections tried"
# Needs: no root, 10 s. It scans one port of two loopback addresses.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

nmap_from_debian
python3 -c '
import socket
server = socket.create_server(("0.0.0.0", 0), backlog=64)
print(server.getsockname()[1], flush=True)
while True:
    server.accept()[0].close()
    print("connection", flush=True)' >"$work/heard" &
children+=($!)
until [ -s "$work/heard" ]; do sleep 0.1; done
port=$(head -n 1 "$work/heard")
timeout 60 nmap -n -sT -Pn -p "$port" 127.0.0.1 127.0.0.0/31 127.0.0.1 -oX "$work/scan.xml" >"$work/out" </dev/null || cannot "nmap ended with $?."
sleep 0.5
reports=$(grep -c '<host ' "$work/scan.xml")
addresses=$(grep -oE '<address addr="[0-9.]+"' "$work/scan.xml" | sort -u | wc -l)
total=$(grep -oE 'total="[0-9]+"' "$work/scan.xml" | tr -dc 0-9)
echo "127.0.0.1 127.0.0.0/31 127.0.0.1: $reports reports of $addresses addresses, total=\"$total\", $(grep -c connection "$work/heard") connections" | output
[ "$addresses" = 2 ] || cannot "$addresses addresses were reported instead of 2."
[ "$reports" = 4 ] && [ "$total" = 4 ] || changed "$reports reports, total $total."
[ "$(grep -c connection "$work/heard")" -ge 4 ] || changed "the port was connected to $(grep -c connection "$work/heard") times."
holds "two addresses were scanned and counted as four hosts."
