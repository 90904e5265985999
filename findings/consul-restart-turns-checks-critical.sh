#!/usr/bin/env bash
# A Consul agent that restarts declares its healthy services critical until each check has run again.
# Versions: Consul 1.22.3.
# Expected: the agent keeps services and checks on its disk, so after a restart of a few seconds they have the state they had, until a
#   check says something else.
# Seen: it publishes each as critical with an empty output; an HTTP check's first run then comes at a random moment within its interval.
#   "Status": "passing" in a registration by API holds at the registration alone and not after a restart; the same word in a service
#   file of the agent does hold. So restarting agents takes healthy services out of DNS, load balancers and `passing` queries.
# Output seen: "plain: 0.0 s passing, 1.1 s critical (no output), 6.1 s passing", "marked: 0.0 s passing (no output), 1.1 s critical
#   (no output), 9.4 s passing" (marked: registered with Status passing), "file: 0.0 s passing" (a file with status passing)
# Needs: Go 1.25.5 or later, or consul 1.22.3 on PATH; 90 s, a first build about 5 minutes. No root.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

go_server consul 1.22.3 'exclude github.com/hashicorp/go-msgpack v1.1.5' 'exclude github.com/hashicorp/go-msgpack v1.1.6'
ports 8
here=(-bind 127.0.0.1 -dns-port -1 -grpc-port -1 -grpc-tls-port -1 -log-level warn -hcl 'disable_update_check = true')
mkdir "$work/www"
(cd "$work/www" && exec python3 -m http.server --bind 127.0.0.1 "${free[6]}" >/dev/null 2>&1) &
children+=($!)
"$server" agent -dev -node one "${here[@]}" -http-port "${free[0]}" -server-port "${free[1]}" -serf-lan-port "${free[2]}" -serf-wan-port "${free[3]}" \
  >"$work/server.log" 2>&1 &
children+=($!)
answers "http://127.0.0.1:${free[0]}/v1/status/leader"
mkdir "$work/conf"
echo "service { name = \"file\" check { status = \"passing\" http = \"http://127.0.0.1:${free[6]}/\" interval = \"15s\" } }" >"$work/conf/file.hcl"
client() {
  "$server" agent -node two -config-dir "$work/conf" -data-dir "$work/client" "${here[@]}" -http-port "${free[4]}" -server-port "${free[7]}" -serf-lan-port "${free[5]}" \
    -retry-join "127.0.0.1:${free[2]}" >"$work/client.log" 2>&1 &
  client=$!
  children+=("$client")
}
client
answers "http://127.0.0.1:${free[4]}/v1/status/leader"

state() { curl --silent --noproxy '*' "http://127.0.0.1:${free[0]}/v1/health/checks/$1" | python3 -c 'import json, sys; print(*[one["Status"] for one in json.load(sys.stdin)])'; }
for name in plain marked; do
  status=
  [ "$name" = plain ] || status='"Status": "passing",'
  curl --fail --silent --noproxy '*' -X PUT "http://127.0.0.1:${free[4]}/v1/agent/service/register" --data \
    "{\"Name\": \"$name\", \"Check\": {$status \"HTTP\": \"http://127.0.0.1:${free[6]}/\", \"Interval\": \"15s\"}}"
done
deadline=$((SECONDS + 60))
until [ "$(state plain) $(state marked) $(state file)" = "passing passing passing" ]; do
  [ "$SECONDS" -lt "$deadline" ] || cannot "the checks do not pass."
  sleep 0.5
done
sleep 2
kill -KILL "$client" # as a crash; the services stay registered
{ wait "$client" || true; } 2>/dev/null
client
# Every new state of each check, with the second after the restart, for 20 s.
python3 - "${free[0]}" plain marked file >"$work/seen" <<'PYTHON'
import json, sys, time, urllib.request
open_url = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
begun, seen = time.monotonic(), {name: [] for name in sys.argv[2:]}
while (now := time.monotonic() - begun) < 20:
    for name, states in seen.items():
        check = json.load(open_url(f"http://127.0.0.1:{sys.argv[1]}/v1/health/checks/{name}", timeout=5))
        state = " ".join(one["Status"] + ("" if one["Output"] else " (no output)") for one in check)
        if not states or states[-1][1] != state: states.append((now, state))
    time.sleep(0.05)
for name, states in seen.items(): print(name + ":", ", ".join(f"{at:.1f} s {state}" for at, state in states))
PYTHON
output "$work/seen"
for name in plain marked; do
  grep -q "^$name:.* critical (no output)" "$work/seen" || changed "$(grep "^$name:" "$work/seen")"
  grep -q "^$name:.* passing$" "$work/seen" || cannot "the check of $name has not passed again within its interval."
done
grep -q '^file:' "$work/seen" && ! grep -q '^file:.*critical' "$work/seen" || changed "$(grep '^file:' "$work/seen")"
holds "registered by API, with or without Status passing, a healthy service was critical after its agent's restart."
