#!/usr/bin/env bash
# Nomad answers a caller's mistakes with 500, and the stop of a job that never was with 200.
# Versions: Nomad 1.11.3.
# Expected: what the caller must change is a 4xx, so that a client may try again on 5xx alone; an unknown job is a 404 in each call.
# Seen: a priority out of range, a space in an id, a time zone that does not exist, a meta key that the job requires or does not know:
#   all 500. A client that tries again on 5xx asks for ever. GET of an unknown job is 404, DELETE of it 200, as if it had been stopped.
# Output seen: "priority 500: 500", "id with a space: 500", "unknown time zone: 500", "required meta missing: 500", "unknown meta key: 500"
#   "GET of an unknown job: 404", "DELETE of an unknown job: 200"
# Needs: Go 1.25.5 or later, or nomad 1.11.3 on PATH; 10 s, a first build about 6 minutes. No root.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_nomad
# expect CODE NAME METHOD PATH [BODY]
expect() {
  local code
  code=$(curl --silent --noproxy '*' -o "$work/answer" -w '%{http_code}' -X "$3" "http://127.0.0.1:$port/v1/$4" --data "${5:-}")
  echo "$2: $code $(grep -vE '^{|occurred|^$' "$work/answer" | tail -n 1 | tr -d '\t' | cut -c 1-90 || true)" | output
  [ "$code" = "$1" ] || changed "$2 is answered with $code."
}
# job ID [KEYS]
job() {
  echo "{\"Job\": {\"ID\": \"$1\", \"Type\": \"batch\", \"Datacenters\": [\"dc1\"], ${2:-} \"TaskGroups\": [{\"Name\": \"g\", \"Tasks\": [
    {\"Name\": \"t\", \"Driver\": \"raw_exec\", \"Config\": {\"command\": \"true\"}}]}]}}"
}
expect 200 "a job as it should be" PUT jobs "$(job batch '"ParameterizedJob": {"MetaRequired": ["key"]},')"
expect 500 "priority 500" PUT jobs "$(job one '"Priority": 500,')"
expect 500 "id with a space" PUT jobs "$(job 'o ne')"
expect 500 "unknown time zone" PUT jobs "$(job one '"Periodic": {"Enabled": true, "Spec": "0 3 * * *", "TimeZone": "Nowhere/Land"},')"
expect 500 "required meta missing" PUT job/batch/dispatch '{}'
expect 500 "unknown meta key" PUT job/batch/dispatch '{"Meta": {"key": "1", "other": "2"}}'
expect 404 "GET of an unknown job" GET job/nothing
expect 200 "DELETE of an unknown job" DELETE job/nothing
holds "five mistakes of the caller are five times 500."
