#!/usr/bin/env bash
# Consul takes a check interval of 100 ms, shows 100 ms, and checks once a second.
# Versions: Consul 1.22.3.
# Expected: the interval that was registered and that /v1/agent/checks shows is the one in force; or it is refused, as "10" without a unit is.
# Seen: everything below a second is a second. The registration answers 200 and the agent shows the asked interval; a warning in the
#   agent's log is all. Whoever computes from it how fast a failure is noticed is wrong by up to ten times.
# Output seen: "asked for 100ms, shown as 100ms, 5 requests in 5 s"
# Needs: Go 1.25.5 or later, or consul 1.22.3 on PATH; 15 s, a first build about 5 minutes. No root.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

go_server consul 1.22.3 'exclude github.com/hashicorp/go-msgpack v1.1.5' 'exclude github.com/hashicorp/go-msgpack v1.1.6'
ports 5
"$server" agent -dev -log-level warn -bind 127.0.0.1 -http-port "${free[0]}" -server-port "${free[1]}" -serf-lan-port "${free[2]}" \
  -serf-wan-port "${free[3]}" -dns-port -1 -grpc-port -1 -grpc-tls-port -1 -hcl 'disable_update_check = true' >"$work/server.log" 2>&1 &
children+=($!)
mkdir "$work/www"
(cd "$work/www" && exec python3 -m http.server --bind 127.0.0.1 "${free[4]}" >"$work/asked" 2>&1) &
children+=($!)
answers "http://127.0.0.1:${free[0]}/v1/status/leader"
curl --fail --silent --noproxy '*' -X PUT "http://127.0.0.1:${free[0]}/v1/agent/service/register" --data \
  "{\"Name\": \"web\", \"Check\": {\"HTTP\": \"http://127.0.0.1:${free[4]}/\", \"Interval\": \"100ms\"}}" || changed "an interval of 100ms is refused."
requests() { grep -c 'GET / ' "$work/asked" || true; }
for _ in {1..50}; do
  [ "$(requests)" -eq 0 ] || break
  sleep 0.1
done
before=$(requests)
[ "$before" -gt 0 ] || cannot "the check does not run."
sleep 5
count=$(($(requests) - before))
shown=$(curl --silent --noproxy '*' "http://127.0.0.1:${free[0]}/v1/agent/checks" | python3 -c 'import json, sys; print(json.load(sys.stdin)["service:web"]["Interval"])')
echo "asked for 100ms, shown as $shown, $count requests in 5 s" | output
[ "$shown" = 100ms ] || changed "the interval is shown as $shown."
[ "$count" -ge 3 ] && [ "$count" -le 8 ] || changed "$count requests came in 5 s."
holds "shown as $shown, the check ran $count times in 5 s."
