#!/usr/bin/env bash
# Nomad's HTTP API drops keys that it does not know, so a misspelt limit is no limit.
# Versions: Nomad 1.11.3.
# Expected: an unknown key in a job is refused, as in Nomad's own HCL files and as by Consul's API ("unknown field").
# Seen: 200 and no warning. A job with "Prioritty": 90 and "MemoryMbb": 2000 is registered with priority 50 and 300 MB.
# Output seen: "by API: 200, no warning, priority 50, 300 MB", "the same slip in HCL: exit code 1, An argument named "prioritty" is not expected here"
# Needs: Go 1.25.5 or later, or nomad 1.11.3 on PATH; 10 s, a first build about 6 minutes. No root.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

start_nomad
code=$(curl --silent --noproxy '*' -o "$work/answer" -w '%{http_code}' -X PUT "http://127.0.0.1:$port/v1/jobs" --data '{"Job": {"ID": "slip", "Type": "batch",
  "Datacenters": ["dc1"], "Prioritty": 90, "TaskGroups": [{"Name": "g", "Tasks": [{"Name": "t", "Driver": "raw_exec", "Config": {"command": "true"},
  "Resources": {"MemoryMbb": 2000}}]}]}}')
warnings=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["Warnings"] or "no warning")' "$work/answer" 2>/dev/null || echo "an error")
kept=$(curl --silent --noproxy '*' "http://127.0.0.1:$port/v1/job/slip" | python3 -c '
import json, sys
job = json.load(sys.stdin)
memory = job["TaskGroups"][0]["Tasks"][0]["Resources"]["MemoryMB"]
print("priority {}, {} MB".format(job["Priority"], memory))' 2>/dev/null || echo "no job")
echo "by API: $code, $warnings, $kept" | output
cat >"$work/slip.hcl" <<'JOB'
job "slip" {
  type      = "batch"
  prioritty = 90
  group "g" {
    task "t" {
      driver = "raw_exec"
      config {
        command = "true"
      }
    }
  }
}
JOB
hcl=0
NOMAD_ADDR=http://127.0.0.1:$port "$server" job validate "$work/slip.hcl" >"$work/said" 2>&1 || hcl=$?
echo "the same slip in HCL: exit code $hcl, $(grep -oE 'An argument named.*here|unsupported.*' "$work/said" | head -n 1 || true)" | output
[ "$hcl" != 0 ] || cannot "HCL takes the slip too."
[ "$code, $warnings, $kept" = "200, no warning, priority 50, 300 MB" ] || changed "by API: $code, $warnings, $kept"
holds "the API took a job with two misspelt keys and left them out."
