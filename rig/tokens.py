"""The secrets of a rig."""

from __future__ import annotations

import base64
import secrets
import uuid
from dataclasses import dataclass, field

from cloudx.cluster.admit import MachineTokens


def _uuid() -> str:
    return str(uuid.uuid4())


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


@dataclass(frozen=True)
class Tokens:
    """Each administrator's and each agent's token, and the gossip keys of Consul and Nomad."""

    consul: str = field(default_factory=_uuid)
    nomad: str = field(default_factory=_uuid)
    front: str = field(default_factory=_uuid)
    consul_gossip: str = field(default_factory=_key)
    nomad_gossip: str = field(default_factory=_key)
    of_agents: dict[str, MachineTokens] = field(default_factory=dict)  # at Consul, by machine
