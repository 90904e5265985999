"""Consul's agents: consul/server.hcl and consul/client.hcl, each with a second file for what differs by machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cloudx.private_files import write_private

from .environment import plain_environment
from .layout import CHECKOUT, CONSUL_PORT, SERVERS, RigFolder, ip_of
from .processes import Launch
from .tokens import Tokens

URL = f"http://{ip_of(SERVERS[0])}:{CONSUL_PORT}"


def server_launch(folder: RigFolder, program: Path, tokens: Tokens, machine: str) -> Launch:
    """A Consul server, which answers on the bridge too, for people and for the set-up."""
    own = {"acl": {"tokens": {"initial_management": tokens.consul, "agent": tokens.consul}}}
    return _launch(folder, program, tokens, machine, "server", own | {"client_addr": f"127.0.0.1 {ip_of(machine)}"})


def client_launch(folder: RigFolder, program: Path, tokens: Tokens, machine: str) -> Launch:
    """A Consul client of a VPS."""
    own = {"acl": {"tokens": {"agent": tokens.of_agents[machine].consul_agent}}}
    return _launch(folder, program, tokens, machine, "client", own)


def _launch(folder: RigFolder, program: Path, tokens: Tokens, machine: str, role: str, own: dict[str, Any]) -> Launch:
    shared = {
        "node_name": machine,
        "data_dir": str(folder.disk_of(machine) / "consul"),
        "bind_addr": ip_of(machine),
        "retry_join": [ip_of(server) for server in SERVERS],
        "encrypt": tokens.consul_gossip,
        "log_level": "WARN",
        "disable_update_check": True,
        "ports": {"dns": -1, "grpc": -1, "grpc_tls": -1, "serf_wan": -1},
    }
    file = folder.path / f"{machine}.consul.json"
    write_private(file, json.dumps(shared | own))
    configs = [f"-config-file={CHECKOUT / 'consul' / f'{role}.hcl'}", f"-config-file={file}"]
    return Launch(machine, "consul", [str(program), "agent", *configs], plain_environment())
