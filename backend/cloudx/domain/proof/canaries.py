"""Canaries: listeners that an operator knows to answer, by which a node sees that its way out works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cloudx.domain.nodes import Check, CheckStatus

_NAME = "canaries"


@dataclass(frozen=True)
class Canary:
    """A TCP listener, by address or host name."""

    id: str
    target: str
    port: int
    protocol: str
    note: str
    created_at: datetime
    created_by: str

    def __str__(self) -> str:
        return f"{self.target}:{self.port}"


def judge_canaries(named: Sequence[Canary], silent: Sequence[Canary]) -> Check:
    """The node's check: critical when every canary is silent, for then the fault is more likely here than there."""
    if not named:
        return Check(_NAME, _NAME, CheckStatus.PASSING, "no canary is named; `cloudx canaries add` names one")
    if not silent:
        return Check(_NAME, _NAME, CheckStatus.PASSING, f"{len(named)} of {len(named)} canaries answer")
    listed = ", ".join(map(str, silent[:3]))
    if len(silent) < len(named):
        output = f"{len(silent)} of {len(named)} canaries are silent ({listed}); look at those listeners"
        return Check(_NAME, _NAME, CheckStatus.WARNING, output)
    output = (
        f"no canary answers this node ({listed}): it takes no work and gives its chunks back, for all "
        "would look closed. Check its way out, or the listeners; `cloudx canaries list` shows them"
    )
    return Check(_NAME, _NAME, CheckStatus.CRITICAL, output)
