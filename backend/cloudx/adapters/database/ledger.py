"""One transaction on the database, as the services see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cloudx.adapters.database.connection.column_types import db_now
from cloudx.adapters.database.connection.engine import committing_at_once
from cloudx.adapters.database.connection.outages import has_lost_its_rights, outage
from cloudx.adapters.database.diffs.repository import SqlDiffs
from cloudx.adapters.database.events.repository import SqlEvents
from cloudx.adapters.database.events.told_nodes import SqlDuties, SqlToldNodes
from cloudx.adapters.database.lookups.figures import SqlFigures
from cloudx.adapters.database.lookups.probes import SqlProbes
from cloudx.adapters.database.repositories.audit import SqlAudit
from cloudx.adapters.database.repositories.chunks import chunks_on
from cloudx.adapters.database.repositories.claims import claims_on
from cloudx.adapters.database.repositories.dispatches import SqlDispatches
from cloudx.adapters.database.repositories.findings import findings_on
from cloudx.adapters.database.repositories.nodes import SqlNodes
from cloudx.adapters.database.repositories.old_records import SqlOldRecords
from cloudx.adapters.database.repositories.policies import SqlPolicies
from cloudx.adapters.database.repositories.postgres_scans import scans_on
from cloudx.adapters.database.repositories.splits import splits_on
from cloudx.adapters.database.repositories.tokens import SqlTokens
from cloudx.adapters.database.schedules.lists import SqlTargetLists
from cloudx.adapters.database.schedules.schedules import SqlSchedules
from cloudx.adapters.database.search.taking import SqlSightings
from cloudx.adapters.database.stages.repository import stages_on
from cloudx.adapters.database.webhooks.repository import SqlWebhooks
from cloudx.domain.errors import Conflict
from cloudx.services.ledger.ledger import Ledger, OpenLedger


class SqlLedger:
    """Implements Ledger: the repositories of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.scans = scans_on(connection)
        self.claims = claims_on(connection)
        self.chunks = chunks_on(connection)
        self.dispatches = SqlDispatches(connection)
        self.findings = findings_on(connection)
        self.nodes = SqlNodes(connection)
        self.tokens = SqlTokens(connection)
        self.policies = SqlPolicies(connection)
        self.schedules = SqlSchedules(connection)
        self.lists = SqlTargetLists(connection)
        self.probes = SqlProbes(connection)
        self.audit = SqlAudit(connection)
        self.figures = SqlFigures(connection)
        self.old_records = SqlOldRecords(connection)
        self.diffs = SqlDiffs(connection)
        self.events = SqlEvents(connection)
        self.sightings = SqlSightings(connection)
        self.told_nodes = SqlToldNodes(connection)
        self.duties = SqlDuties(connection)
        self.webhooks = SqlWebhooks(connection)
        self.splits = splits_on(connection)
        self.stages = stages_on(connection)

    def now(self) -> datetime:
        """As Ledger has it."""
        return self._connection.execute(select(db_now())).scalar_one()

    def commit(self) -> None:
        """As Ledger has it."""
        self._connection.commit()


class Connects(Protocol):
    """An Engine, or the RotatingEngine."""

    def connect(self) -> AbstractContextManager[Connection]:
        """A connection for the length of a `with` block."""
        ...


def open_ledger_on(engine: Connects) -> OpenLedger:
    """A factory of transactions on an engine."""

    @contextmanager
    def transaction(read_only: bool, at_once: bool) -> Iterator[Ledger]:
        try:
            with engine.connect() as connection:
                connection = connection.execution_options(cloudx_read_only=read_only)
                with committing_at_once(connection) if at_once else nullcontext():
                    yield SqlLedger(connection)
        except IntegrityError as error:
            raise Conflict("Somebody else wrote the same thing at the same moment. Try again.") from error
        except (DBAPIError, PoolTimeout) as error:
            if isinstance(error, DBAPIError) and not _is_outage(error):
                raise
            raise outage(getattr(error, "orig", error)) from error

    def open_ledger(*, read_only: bool = False, at_once: bool = False) -> AbstractContextManager[Ledger]:
        return transaction(read_only, at_once)

    return open_ledger


def _is_outage(error: DBAPIError) -> bool:
    """True for lost connections, restarts, timeouts, full disks and ended logins; False for defects in our SQL."""
    is_lost = error.connection_invalidated or type(error).__name__ in ("OperationalError", "InterfaceError")
    return is_lost or has_lost_its_rights(error.orig)
