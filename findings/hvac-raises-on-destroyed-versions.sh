#!/usr/bin/env bash
# hvac's raise_on_deleted_version=False does not hold for a version that was destroyed.
# Versions: hvac 2.4.0; Vault 1.21.0, KV version 2.
# Expected: with raise_on_deleted_version=False a version without data comes back with its metadata and data None, whether it was deleted
#   or destroyed; the metadata says which.
# Seen: a deleted version comes back so. A destroyed one raises InvalidPath, the same exception as a secret that never existed, although
#   Vault's answer has the metadata ("destroyed": true) in it.
# Output seen: "deleted: data None, destroyed False", "destroyed: InvalidPath, Vault's own answer: 404 with destroyed True"
# Needs: Go 1.25.5 or later, or vault 1.21.0 on PATH; 15 s, a first build about 8 minutes. No root.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

python_with hvac==2.4.0
go_tags=minimal
go_server vault 1.21.0 \
  'replace github.com/99designs/keyring => github.com/Jeffail/keyring v1.2.3' \
  'replace github.com/ma314smith/signedxml v1.1.1 => github.com/moov-io/signedxml v1.1.1'
ports 2
HOME=$work "$server" server -dev -dev-root-token-id=root -dev-no-store-token -dev-listen-address="127.0.0.1:${free[0]}" \
  -dev-cluster-json="$work/cluster.json" >"$work/server.log" 2>&1 &
children+=($!)
answers "http://127.0.0.1:${free[0]}/v1/sys/health"
PORT=${free[0]} py - >"$work/read" 2>"$work/err" <<'PYTHON' || cannot "the client failed: $(tail -n 1 "$work/err")"
import os, hvac, requests
url = f"http://127.0.0.1:{os.environ['PORT']}"
kv = hvac.Client(url=url, token="root").secrets.kv.v2
for _ in range(3): kv.create_or_update_secret("app", {"key": "value"})
kv.delete_secret_versions("app", [1])
kv.destroy_secret_versions("app", [2])
for name, version in ("deleted", 1), ("destroyed", 2):
    try:
        answer = kv.read_secret_version("app", version=version, raise_on_deleted_version=False)["data"]
        print(f"{name}: data {answer['data']}, destroyed {answer['metadata']['destroyed']}")
    except hvac.exceptions.VaultError as error:
        answer = requests.get(f"{url}/v1/secret/data/app?version={version}", headers={"X-Vault-Token": "root"})
        print(f"{name}: {type(error).__name__}, Vault's own answer: {answer.status_code} with destroyed {answer.json()['data']['metadata']['destroyed']}")
PYTHON
output "$work/read"
grep -q '^deleted: data None, destroyed False$' "$work/read" || changed "$(grep ^deleted "$work/read")"
grep -q "^destroyed: InvalidPath, Vault's own answer: 404 with destroyed True$" "$work/read" || changed "$(grep ^destroyed "$work/read")"
holds "a destroyed version raises InvalidPath although it was asked not to."
