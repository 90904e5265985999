"""Tell whether this process can serve, and what is wrong when it cannot."""

from __future__ import annotations

from dataclasses import dataclass

from cloudx.domain.errors import CloudxError
from cloudx.services.ledger.ledger import OpenLedger

from .watch import FleetWatch

# For the operator who reads it in Consul's page.
_DATABASE_REMEDY = "If it stays so: does the database run, and does DATABASE_URL name it?"


@dataclass(frozen=True)
class DependencyState:
    """One dependency: ok, inactive or error, with the reason; the required ones decide."""

    status: str
    required: bool
    reason: str | None = None


@dataclass(frozen=True)
class Readiness:
    """Every dependency, by its name."""

    dependencies: dict[str, DependencyState]

    @property
    def is_ready(self) -> bool:
        """True when every required dependency is ok."""
        return all(state.status == "ok" for state in self.dependencies.values() if state.required)


@dataclass(frozen=True)
class CheckReadiness:
    """Asks each dependency at the moment of the call."""

    open_ledger: OpenLedger
    fleet: FleetWatch

    def __call__(self) -> Readiness:
        """The state of the database, which is required, and of the fleet's snapshot, which is not."""
        freshness = self.fleet.freshness()
        status = "ok" if freshness.status == "active" else freshness.status
        fleet = DependencyState(status, required=False, reason=freshness.reason)
        return Readiness({"database": self._database(), "fleet": fleet})

    def _database(self) -> DependencyState:
        try:
            with self.open_ledger(read_only=True) as ledger:
                ledger.policies.version()  # reads a table, so that a missing schema is noticed too
        except CloudxError as error:
            return DependencyState("error", required=True, reason=f"{error.message} {_DATABASE_REMEDY}")
        return DependencyState("ok", required=True)
