"""What several modules of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.services.access.edit_policy import ensure_first_scope
from fixtures.ledgers import Desk


@pytest.fixture
def desk(postgres_database: str) -> Iterator[Desk]:
    """A PostgreSQL ledger where private addresses may be scanned; its only node, node-1, is silent until it works."""
    engine = engine_for(postgres_database)
    upgrade(engine)
    ensure_first_scope(open_ledger_on(engine))
    yield Desk(open_ledger_on(engine), engine)
    engine.dispose()
