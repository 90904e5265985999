"""What the ledger tells of who probed an address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cloudx.domain.addresses import Address
from cloudx.domain.names import HostNames
from cloudx.domain.proof.attempts import Sending
from cloudx.domain.tools import Tool


@dataclass(frozen=True)
class AttemptAt:
    """An attempt at a chunk that holds an address. `ports` are the chunk's as it was claimed, as text."""

    scan_id: str
    tool: Tool
    type_name: str
    ports: str | None
    asked_by: str
    named: HostNames  # the names that the address was submitted as
    node_id: str
    source_ip: str | None
    sending: Sending


class Probes(Protocol):
    """The attempts at an address, over all scans that there still are."""

    def attempts_at(self, address: Address, since: datetime, until: datetime, limit: int) -> Sequence[AttemptAt]:
        """At most `limit` of those that went on between the two moments, or ended shortly before; in order of start.

        It takes the scans of that time first, then those that hold the address, then the attempts at it.
        """
        ...
