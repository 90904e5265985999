"""Nomad's agents: nomad/server.hcl and nomad/client.hcl, each with a second file for what differs by machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cloudx.private_files import write_private

from . import vault
from .environment import plain_environment
from .layout import CHECKOUT, NOMAD_PORT, SERVERS, RigFolder, ip_of
from .processes import Launch
from .tokens import Tokens

URLS = tuple(f"http://{ip_of(server)}:{NOMAD_PORT}" for server in SERVERS)
_SERVER_IPS = [ip_of(server) for server in SERVERS]


def server_launch(folder: RigFolder, program: Path, tokens: Tokens, machine: str) -> Launch:
    """A Nomad server that is a client too: the machines of the servers are the control nodes."""
    own = {"server": {"encrypt": tokens.nomad_gossip, "server_join": {"retry_join": _SERVER_IPS}}} | _client()
    return _launch(folder, program, tokens, machine, ("server", "client", "control"), own)


def client_launch(folder: RigFolder, program: Path, tokens: Tokens, machine: str) -> Launch:
    """A Nomad client of a VPS."""
    return _launch(folder, program, tokens, machine, ("client",), _client())


def _client() -> dict[str, Any]:
    """What a client has of its own; without the fingerprinters that look for a cloud."""
    client = {
        "network_interface": "eth0",
        "disk_total_mb": 50_000,  # the disk is 256 MB, so that it can be filled; a job asks for 300 and uses a few
        "server_join": {"retry_join": _SERVER_IPS},
        "options": {"fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean"},
    }
    return {"client": client, "plugin": {"raw_exec": {"config": {"enabled": True}}}}


def _launch(
    folder: RigFolder, program: Path, tokens: Tokens, machine: str, files: tuple[str, ...], own: dict[str, Any]
) -> Launch:
    address = ip_of(machine)
    shared = {
        "name": machine,
        "data_dir": str(folder.disk_of(machine) / "nomad"),
        "bind_addr": "0.0.0.0",
        "advertise": {"http": address, "rpc": address, "serf": address},
        "log_level": "WARN",
        "disable_update_check": True,
        "consul": {"token": tokens.of_agents[machine].nomad_agent},
        "vault": {"address": vault.URL},
    }
    file = folder.path / f"{machine}.nomad.json"
    write_private(file, json.dumps(shared | own))
    configs = [*(f"-config={CHECKOUT / 'nomad' / f'{name}.hcl'}" for name in files), f"-config={file}"]
    # SIGINT: on SIGTERM a client leaves its tasks running.
    return Launch(machine, "nomad", [str(program), "agent", *configs], plain_environment(), stop_signal="SIGINT")
