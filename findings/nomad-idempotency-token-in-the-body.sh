#!/usr/bin/env bash
# python-nomad's dispatch_job(idempotency_token=…) does not make a dispatch idempotent: Nomad does not look where it puts the token.
# Versions: python-nomad 2.1.0; Nomad 1.11.3.
# Expected: two dispatches with one token are one child job; that is what the argument is for.
# Seen: the library puts IdempotencyToken into the JSON body. Nomad reads the query parameter idempotency_token alone, ignores the
#   key in the body without a word, and starts a second child. A retry after a timeout runs the job twice.
# Output seen: "python-nomad, one token twice: 2 children", "query parameter, one token twice: 1 child"
# Needs: Go 1.25.5 or later, or nomad 1.11.3 on PATH; 15 s, a first build about 6 minutes. No root.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

python_with python-nomad==2.1.0
start_nomad

PORT=$port py - >"$work/out" 2>"$work/err" <<'PYTHON' || cannot "the client failed: $(tail -n 1 "$work/err")"
import os, nomad, requests
port = int(os.environ["PORT"])
client = nomad.Nomad(host="127.0.0.1", port=port)
def parameterized(name):
    task = {"Name": "t", "Driver": "raw_exec", "Config": {"command": "true"}}
    client.job.register_job(name, {"Job": {"ID": name, "Name": name, "Type": "batch", "Datacenters": ["dc1"], "ParameterizedJob": {},
                                           "TaskGroups": [{"Name": "g", "Tasks": [task]}]}})
def children(name):
    return sum(job["ParentID"] == name for job in client.jobs.get_jobs())
parameterized("library")
parameterized("query")
for _ in range(2):
    client.job.dispatch_job("library", idempotency_token="one")
    requests.put(f"http://127.0.0.1:{port}/v1/job/query/dispatch", params={"idempotency_token": "one"}, json={}).raise_for_status()
print(children("library"), children("query"))
PYTHON
read -r library query <"$work/out"
echo "python-nomad, one token twice: $library children" | output
echo "query parameter, one token twice: $query child" | output
[ "$query" = 1 ] || changed "with the query parameter $query children were started."
[ "$library" = 2 ] || changed "python-nomad's token gave $library children."
holds "the same token twice is two children through python-nomad and one by query parameter."
