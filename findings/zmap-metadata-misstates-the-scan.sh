#!/usr/bin/env bash
# zmap's metadata, made for the record of a scan, names another target and another blacklist than the scan's.
# Versions: zmap 2.1.1 as in Debian 12.
# Expected: --metadata-file says what was scanned and found: the networks as given, the options in force.
# Seen: cli_cidr_destinations has the network without its length, so a scan of a /28 reads as one of an address; an empty
#   blacklist reads as 0.0.0.0/32. whitelisted_networks and the counts are right.
# Output seen: "10.77.0.0/28, port closed: sent 16, failures 16, destinations 10.77.0.0, blacklisted 0.0.0.0/32"
# Needs: root, about 15 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

two_namespaces
debian zmap=2.1.1-2+b6 libpcap0.8=1.10.3-1 libgmp10=2:6.2.1+dfsg1-1.1 libhiredis0.14=0.14.1-3 libjson-c5=0.16-2
scan_with_zmap -p 81 -r 200 -O csv -f saddr,classification -m "$work/metadata" 10.77.0.0/28 >"$work/found" 2>"$work/log" || cannot "zmap ended with $?."
refused=$(grep -c ',rst' "$work/found" || true)
said=$(python3 - "$work/metadata" <<'PYTHON'
import json, sys
said = json.load(open(sys.argv[1]))
print(f"sent {said['total_sent']}, failures {said['failure_total']}, destinations {' '.join(said['cli_cidr_destinations'])},",
      f"blacklisted {' '.join(said['blacklisted_networks'])}")
PYTHON
)
echo "10.77.0.0/28, port closed, $refused rows of refusals: $said" | output
[ "$refused" = 16 ] || cannot "$refused refusals came instead of 16."
[ "$said" = "sent 16, failures 16, destinations 10.77.0.0, blacklisted 0.0.0.0/32" ] || changed "$said"
holds "the metadata of a scan of 10.77.0.0/28 names 10.77.0.0, and a blacklist that was empty."
