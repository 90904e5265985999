#!/usr/bin/env bash
# A Consul agent publishes a check's new state at once, but its new output alone minutes later.
# Versions: Consul 1.22.3.
# Expected: /v1/health/checks shows what the check says now, a second or two after it said it, as /v1/agent/checks does.
# Seen: while the state stays the same the agent defers the output by check_update_interval, 5 minutes by default. The catalog, and so
#   every page and every blocking query, shows words from minutes ago (or none, after a start) beside a state that is right. With
#   check_update_interval = "0s" both come at once.
# Output seen: "default: new output alone: agent at once, catalog still 'first' after 15 s; new state: catalog 'third' after 0.0 s"
#   "0s: new output alone: catalog 'second' after 0.0 s"
# Needs: Go 1.25.5 or later, or consul 1.22.3 on PATH; 45 s, a first build about 5 minutes. No root.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

go_server consul 1.22.3 'exclude github.com/hashicorp/go-msgpack v1.1.5' 'exclude github.com/hashicorp/go-msgpack v1.1.6'
cat >"$work/watch.py" <<'PYTHON'
import json, sys, time, urllib.request
base, seconds = f"http://127.0.0.1:{sys.argv[1]}/v1", float(sys.argv[2])
open_url = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
def ask(method, path, body=None):
    request = urllib.request.Request(base + path, method=method, data=json.dumps(body).encode() if body else None)
    return open_url(request, timeout=5).read()
def report(status, output): ask("PUT", "/agent/check/update/service:web", {"Status": status, "Output": output})
def catalog(): return [(one["Status"], one["Output"]) for one in json.loads(ask("GET", "/health/checks/web"))]
def agent(): return json.loads(ask("GET", "/agent/checks"))["service:web"]["Output"]
def until(state, seconds):
    begun = time.monotonic()
    while catalog() != [state] and time.monotonic() - begun < seconds: time.sleep(0.05)
    return time.monotonic() - begun if catalog() == [state] else None
ask("PUT", "/agent/service/register", {"Name": "web", "Check": {"TTL": "1h"}})
report("passing", "first")
assert until(("passing", "first"), 20) is not None, catalog()
report("passing", "second")
assert agent() == "second"
late = until(("passing", "second"), seconds)
print("late" if late is None else f"{late:.1f}")
report("warning", "third")
print(f"{until(('warning', 'third'), 20):.1f}")
PYTHON

# agent_with HCL: sets $alone, how long a new output alone took, and $state, how long a new state did.
agent_with() {
  ports 4
  "$server" agent -dev -log-level warn -bind 127.0.0.1 -http-port "${free[0]}" -server-port "${free[1]}" -serf-lan-port "${free[2]}" \
    -serf-wan-port "${free[3]}" -dns-port -1 -grpc-port -1 -grpc-tls-port -1 -hcl "disable_update_check = true $1" >"$work/server.log" 2>&1 &
  children+=($!)
  answers "http://127.0.0.1:${free[0]}/v1/status/leader"
  read -rd '' alone state <<<"$(python3 "$work/watch.py" "${free[0]}" 15)" || true
  [ -n "$state" ] || cannot "the agent did not do what every version does; its log ends with: $(tail -n 1 "$work/server.log")"
}
agent_with ''
echo "default: new output alone in the catalog after: $alone (15 s were waited); new state after: $state s" | output
[ "$alone" = late ] || changed "by default a new output was in the catalog after $alone s."
agent_with ' check_update_interval = "0s"'
echo "0s:      new output alone in the catalog after: $alone s; new state after: $state s" | output
[ "$alone" != late ] || changed "with check_update_interval = 0s a new output was not in the catalog after 15 s."
holds "a new output alone is not in the catalog after 15 s, a new state is after $state s."
