"""Vault with its data on disk: it starts sealed, and the rig, which keeps the key, unseals it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import requests

from cloudx.devcluster.programs import PLUGIN
from cloudx.private_files import write_private

from .environment import plain_environment
from .layout import STORE, VAULT_PORT, RigFolder, ip_of
from .processes import Launch

KEY = f"{STORE}.vault"
URL = f"http://{ip_of(STORE)}:{VAULT_PORT}"


def launch(folder: RigFolder, program: Path, plugin: Path) -> Launch:
    """Vault as in vault/server.hcl, but without TLS, which protects nothing on a bridge inside the machine."""
    data = folder.disk_of(STORE) / "vault"
    (data / "plugins").mkdir(parents=True)
    shutil.copy2(plugin, data / "plugins" / PLUGIN)  # Vault follows no link out of its folder
    own = {
        "storage": {"raft": {"path": str(data), "node_id": STORE}},
        "listener": [{"tcp": {"address": f"{ip_of(STORE)}:{VAULT_PORT}", "tls_disable": True}}],
        "api_addr": URL,
        "cluster_addr": f"http://{ip_of(STORE)}:{VAULT_PORT + 1}",
        "plugin_directory": str(data / "plugins"),
        "disable_mlock": True,
        "log_level": "warn",
    }
    file = folder.path / "vault.json"
    write_private(file, json.dumps(own))
    return Launch(STORE, "vault", [str(program), "server", f"-config={file}"], plain_environment())


def plugin_file(folder: RigFolder) -> str:
    """The path of Vault's PostgreSQL plugin."""
    return str(folder.disk_of(STORE) / "vault/plugins" / PLUGIN)


def answers() -> bool:
    """True if Vault answers, sealed or not."""
    return _health() is not None


def is_active() -> bool:
    """True if Vault is unsealed and active."""
    return _health() == 200


def initialise(folder: RigFolder) -> str:
    """Initialise and unseal Vault; return the root token."""
    made = _call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
    write_private(folder.path / "vault-keys.json", json.dumps(made))
    unseal(folder)
    return str(made["root_token"])


def unseal(folder: RigFolder) -> None:
    """Unseal Vault, as an operator does after each start."""
    kept = json.loads((folder.path / "vault-keys.json").read_text())
    _call("PUT", "sys/unseal", {"key": kept["keys"][0]})


def _call(method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = requests.request(method, f"{URL}/v1/{path}", json=body, timeout=30)
    if not answer.ok:
        raise RuntimeError(f"Vault refuses {path}: {answer.status_code} {answer.text[:300]}")
    return dict(answer.json())


def _health() -> int | None:
    try:
        return requests.get(f"{URL}/v1/sys/health", timeout=2).status_code
    except requests.RequestException:
        return None
