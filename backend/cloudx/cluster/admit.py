"""Admit a machine to the cluster's Consul: tokens of its own, with which it can speak for itself alone."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from enum import StrEnum

from cloudx.domain.errors import BadConfiguration

from .files import ClusterFiles
from .identity_ports import ConsulAcl

CONSUL_AGENT, NOMAD_AGENT = "consul-agent", "nomad-agent"
_PLACEHOLDER = '"NODE"'
# A name goes into a policy's text between quotes, and into the policy's name.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


class MachineKind(StrEnum):
    """What a machine does, and so which services its agents may register."""

    VPS = "vps"  # scans
    CONTROL = "control"  # runs the API, Fabio and PostgreSQL


def _uuid() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True)
class MachineTokens:
    """The secrets of a machine's agents at Consul, UUIDs."""

    consul_agent: str = field(default_factory=_uuid)
    nomad_agent: str = field(default_factory=_uuid)


@dataclass(frozen=True)
class AdmitMachine:
    """The use case of `cloudx cluster admit`."""

    files: ClusterFiles
    consul: ConsulAcl

    def run(self, name: str, *kinds: MachineKind, tokens: MachineTokens | None = None) -> MachineTokens:
        """Give a machine, known by its name in Consul, these tokens, else new ones; those it had before end.

        Raises BadConfiguration for a name that Consul's policies cannot hold, and ClusterUnavailable.
        """
        tokens = tokens or MachineTokens()
        secrets = {CONSUL_AGENT: tokens.consul_agent, NOMAD_AGENT: tokens.nomad_agent}
        policies: dict[str, list[str]] = {agent: [] for agent in secrets}
        for kind in kinds:
            for agent, rules in policies_of(self.files, name, kind).items():
                policy = f"cloudx-{kind}-{agent}-{name}"
                self.consul.put_policy(policy, rules)
                policies[agent].append(policy)
        for agent, secret in secrets.items():
            self.consul.put_token(secret, f"Cloud-X: {agent} of {name}", tuple(policies[agent]))
        return tokens


def policies_of(files: ClusterFiles, name: str, kind: MachineKind) -> dict[str, str]:
    """The rules for each of a machine's two agents. Raises BadConfiguration."""
    if not _NAME.fullmatch(name):
        raise BadConfiguration(
            f"{name!r} cannot be a machine's name here. Use letters, digits and hyphens, at most 63, "
            "and set it as node_name of its Consul agent."
        )
    return {
        agent: rules.replace(_PLACEHOLDER, f'"{name}"') for agent, rules in files.consul_agent_policies[kind].items()
    }
