#!/usr/bin/env bash
# Registering a Consul service anew replaces its port, tags and meta, and keeps a check that the new registration does not have.
# Versions: Consul 1.22.3.
# Expected: PUT /v1/agent/service/register says what the service is; registered without the TTL check that it had, it has none.
# Seen: port and meta are the new ones, the old check stays with its state. A new version of a program that no longer reports to that
#   check turns critical when its time is over, and leaves DNS and load balancers. ?replace-existing-checks=true does what one expects.
# Output seen: "anew without a check: port 81, checks: service:web critical", "with replace-existing-checks: port 82, checks: none"
# Needs: Go 1.25.5 or later, or consul 1.22.3 on PATH; 10 s, a first build about 5 minutes. No root.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

go_server consul 1.22.3 'exclude github.com/hashicorp/go-msgpack v1.1.5' 'exclude github.com/hashicorp/go-msgpack v1.1.6'
ports 4
"$server" agent -dev -log-level warn -bind 127.0.0.1 -http-port "${free[0]}" -server-port "${free[1]}" -serf-lan-port "${free[2]}" \
  -serf-wan-port "${free[3]}" -dns-port -1 -grpc-port -1 -grpc-tls-port -1 -hcl 'disable_update_check = true' >"$work/server.log" 2>&1 &
children+=($!)
answers "http://127.0.0.1:${free[0]}/v1/status/leader"
# register QUERY BODY: sets $said.
register() {
  curl --fail --silent --noproxy '*' -X PUT "http://127.0.0.1:${free[0]}/v1/agent/service/register$1" --data "$2" || cannot "the agent refuses $2."
  sleep 1 # long enough for the agent to tell the catalog
  said=$(curl --silent --noproxy '*' "http://127.0.0.1:${free[0]}/v1/health/service/web" | python3 -c '
import json, sys
(entry,) = json.load(sys.stdin)
checks = [one["CheckID"] + " " + one["Status"] for one in entry["Checks"] if one["ServiceID"]]
print("port", str(entry["Service"]["Port"]) + ", checks:", ", ".join(checks) or "none")')
}
register '' '{"Name": "web", "Port": 80, "Check": {"TTL": "1h"}}'
echo "first:                        $said" | output
register '' '{"Name": "web", "Port": 81}'
echo "anew without a check:         $said" | output
[ "$said" = "port 81, checks: service:web critical" ] || changed "anew without a check: $said"
register '?replace-existing-checks=true' '{"Name": "web", "Port": 82}'
echo "with replace-existing-checks: $said" | output
[ "$said" = "port 82, checks: none" ] || changed "with replace-existing-checks: $said"
holds "a check that the new registration does not have stays with the service."
