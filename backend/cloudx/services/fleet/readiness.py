"""Tell whether this process can serve, and what is wrong when it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cloudx.domain.errors import CloudxError
from cloudx.services.ledger.ledger import OpenLedger

from .watch import FleetWatch

# For the operator who reads it in Consul's page.
_DATABASE_REMEDY = "If it stays so: does the database run, and does DATABASE_URL name it?"


@dataclass(frozen=True)
class DependencyState:
    """One dependency: ok, inactive or error, with the reason; those required decide."""

    status: str
    required: bool
    reason: str | None = None


@dataclass(frozen=True)
class Readiness:
    """All of them."""

    dependencies: dict[str, DependencyState]

    @property
    def is_ready(self) -> bool:
        """True when everything required is ok."""
        return all(state.status == "ok" for state in self.dependencies.values() if state.required)

    def shown(self) -> dict[str, Any]:
        """As GET /api/ready says it."""
        status = "ready" if self.is_ready else "unready"
        return {"status": status, "dependencies": {name: vars(state) for name, state in self.dependencies.items()}}


def check_readiness(open_ledger: OpenLedger, fleet: FleetWatch) -> Readiness:
    """Ask each dependency now."""
    status, reason = fleet.freshness()
    view = DependencyState("ok" if status == "active" else status, required=False, reason=reason)
    return Readiness({"database": _database(open_ledger), "fleet": view})


def _database(open_ledger: OpenLedger) -> DependencyState:
    try:
        with open_ledger(read_only=True) as ledger:
            ledger.policies.version()  # a table, so that a missing schema is noticed too
    except CloudxError as error:
        return DependencyState("error", required=True, reason=f"{error.message} {_DATABASE_REMEDY}")
    return DependencyState("ok", required=True)
