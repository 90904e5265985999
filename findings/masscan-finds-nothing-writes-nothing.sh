#!/usr/bin/env bash
# When masscan finds nothing, its JSON is no JSON and its XML no XML: the file has no byte.
# Versions: masscan 1.3.2 as in Debian 12.
# Expected: -oJ writes [] and -oX a document without hosts, as nmap does; a parser takes both.
# Seen: the opening and closing lines are written with the first finding only. A scan that ran to its end without a finding leaves
#   the same 0 bytes as one that was killed at once. With one finding both files are well-formed.
# Output seen: "port 81 (closed): -oJ 0 bytes, refused by a parser; -oX 0 bytes, refused by a parser"
#   "port 80 (open):   -oJ 152 bytes, parsed; -oX 385 bytes, parsed"
# Needs: root, about 25 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

two_namespaces
debian masscan=2:1.3.2+ds1-1 libpcap0.8=1.10.3-1 ethtool=1:6.1-1 libmnl0=1.0.4-3
offloads_off
listen 80
keep_awake

parsed() {
  case $1 in
    J) python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$2" ;;
    X) python3 -c 'import sys, xml.etree.ElementTree as tree; tree.parse(sys.argv[1])' "$2" ;;
  esac 2>/dev/null && echo parsed || echo "refused by a parser"
}
# scan PORT: sets $verdict.
scan() {
  local form parts=()
  for form in J X; do
    scan_with_masscan 10.77.0.1 -p"$1" --rate 100 "-o$form" "$work/$1.$form" >"$work/log" 2>&1 || cannot "masscan ended with $?."
    parts+=("-o$form $(stat -c %s "$work/$1.$form") bytes, $(parsed "$form" "$work/$1.$form")")
  done
  verdict="${parts[0]}; ${parts[1]}"
}

scan 81
echo "port 81 (closed): $verdict" | output
[ "$verdict" = "-oJ 0 bytes, refused by a parser; -oX 0 bytes, refused by a parser" ] || changed "with nothing found: $verdict"
scan 80
echo "port 80 (open):   $verdict" | output
[[ "$verdict" = *", parsed;"*", parsed" ]] || changed "with one finding: $verdict"
holds "nothing found is written as 0 bytes in both forms."
