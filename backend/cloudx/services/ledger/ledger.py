"""The ledger: its repositories and its transactions, as Protocols."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from cloudx.domain.access import Principal
from cloudx.domain.names import ExcludedName
from cloudx.domain.nodes import Heartbeat, Node
from cloudx.domain.proof.canaries import Canary
from cloudx.domain.scopes import Exclusion, Scope

from .audit_entry import AuditEntry
from .diffs import Diffs
from .dispatches import Dispatches
from .events import Duties, Events, ToldNodes
from .figures import Figures
from .lists import TargetLists
from .old_records import OldRecords
from .probes import Probes
from .scans import Chunks, Claims, Findings, Scans
from .schedules import Schedules
from .sightings import Sightings
from .splits import Splits
from .stages import Stages
from .tokens import Tokens
from .webhooks import Webhooks


class Nodes(Protocol):
    """The fleet as it reported itself."""

    def get(self, node_id: str) -> Node | None:
        """One node."""
        ...

    def all(self) -> list[Node]:
        """Every node, by id."""
        ...

    def seen_since(self, moment: datetime) -> list[Node]:
        """Those that registered or beat at that moment or later, in no order."""
        ...

    def save(self, node: Node) -> None:
        """Insert or replace."""
        ...

    def beat(self, heartbeat: Heartbeat, beat_seconds: float) -> Node | None:
        """Store a heartbeat, seen now, and when its node was told to send the next; the node then, None if unknown."""
        ...

    def count(self) -> int:
        """How many there are."""
        ...

    def silent_since(self, moment: datetime) -> list[str]:
        """The ids of those whose last heartbeat is older."""
        ...

    def delete(self, node_id: str) -> bool:
        """Remove one; False when there was none."""
        ...

    def scans_running(self) -> dict[str, int]:
        """How many different scans each node works on, by node id."""
        ...


class Policies(Protocol):
    """Scopes and exclusions. `version` grows with every change."""

    def version(self) -> int:
        """0 on a fresh database."""
        ...

    def lock(self) -> int:
        """The version, with every other change of the policy waiting until the transaction ends."""
        ...

    def scopes(self) -> list[Scope]:
        """Every scope, oldest first, expired ones included."""
        ...

    def removed_scopes(self) -> list[Scope]:
        """The scopes that were removed, oldest first; each expired when it was."""
        ...

    def exclusions(self) -> list[Exclusion]:
        """Every exclusion, oldest first."""
        ...

    def excluded_names(self) -> list[ExcludedName]:
        """What each excluded name has resolved to, by name: those of exclusions and of scans' own."""
        ...

    def save_names(self, records: Iterable[ExcludedName], *, is_change: bool) -> None:
        """Insert or replace; `is_change` moves the version."""
        ...

    def forget_names(self, names: Collection[str]) -> None:
        """Remove names that nothing excludes any more."""
        ...

    def add_scope(self, scope: Scope) -> None:
        """Keep a scope."""
        ...

    def add_exclusion(self, exclusion: Exclusion) -> None:
        """Keep an exclusion."""
        ...

    def delete_scope(self, scope_id: str) -> bool:
        """Remove one, to `removed_scopes`; False when there was none."""
        ...

    def delete_exclusion(self, exclusion_id: str) -> bool:
        """Remove one; False when there was none."""
        ...

    def canaries(self) -> list[Canary]:
        """Every canary, oldest first."""
        ...

    def add_canary(self, canary: Canary) -> None:
        """Keep a canary."""
        ...

    def delete_canary(self, canary_id: str) -> bool:
        """Remove one; False when there was none."""
        ...


class Audit(Protocol):
    """Who changed what, kept for ever."""

    def record(self, principal: Principal, action: str, subject: str, **detail: Any) -> None:
        """Add an entry; `action` is `noun.verb`, `subject` the id of the record it is about."""
        ...

    def entries(
        self,
        limit: int,
        *,
        before_id: str | None = None,
        principal: str | None = None,
        action: str | None = None,
        since: datetime | None = None,
    ) -> list[AuditEntry]:
        """At most `limit` entries, newest first to the millisecond; `before_id` is the last id of the page before.

        `principal` and `action` match whole, `since` includes its moment; None leaves all in.
        """
        ...


class Ledger(Protocol):
    """One transaction on the database: nothing is kept unless `commit` is called."""

    @property
    def scans(self) -> Scans:
        """The repository of that name."""
        ...

    @property
    def claims(self) -> Claims:
        """The repository of that name."""
        ...

    @property
    def chunks(self) -> Chunks:
        """The repository of that name."""
        ...

    @property
    def dispatches(self) -> Dispatches:
        """The repository of that name."""
        ...

    @property
    def findings(self) -> Findings:
        """The repository of that name."""
        ...

    @property
    def nodes(self) -> Nodes:
        """The repository of that name."""
        ...

    @property
    def tokens(self) -> Tokens:
        """The repository of that name."""
        ...

    @property
    def policies(self) -> Policies:
        """The repository of that name."""
        ...

    @property
    def audit(self) -> Audit:
        """The repository of that name."""
        ...

    @property
    def diffs(self) -> Diffs:
        """The repository of that name."""
        ...

    @property
    def events(self) -> Events:
        """The repository of that name."""
        ...

    @property
    def told_nodes(self) -> ToldNodes:
        """The repository of that name."""
        ...

    @property
    def webhooks(self) -> Webhooks:
        """The repository of that name."""
        ...

    @property
    def duties(self) -> Duties:
        """The repository of that name."""
        ...

    @property
    def sightings(self) -> Sightings:
        """The repository of that name."""
        ...

    @property
    def splits(self) -> Splits:
        """The repository of that name."""
        ...

    @property
    def lists(self) -> TargetLists:
        """The repository of that name."""
        ...

    @property
    def schedules(self) -> Schedules:
        """The repository of that name."""
        ...

    @property
    def stages(self) -> Stages:
        """The repository of that name."""
        ...

    @property
    def probes(self) -> Probes:
        """The repository of that name."""
        ...

    @property
    def figures(self) -> Figures:
        """The repository of that name."""
        ...

    @property
    def old_records(self) -> OldRecords:
        """The repository of that name."""
        ...

    def now(self) -> datetime:
        """The database's clock, UTC: nodes' own clocks may be off."""
        ...

    def commit(self) -> None:
        """Keep everything written since the start or the last commit."""
        ...


class OpenLedger(Protocol):
    """Opens a transaction. Read-only ones never wait for a writer (SQLite has one writer at a time)."""

    def __call__(self, *, read_only: bool = False, at_once: bool = False) -> AbstractContextManager[Ledger]:
        """A transaction for the length of a `with` block; `at_once`: each call is its own, where the database can."""
        ...
