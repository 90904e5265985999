"""The index for parts of host names: made where the login may, and where it may not the search works without it."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from cloudx.adapters.database import upgrade
from cloudx.adapters.database.schema import trigrams
from fixtures.diffs import scanned
from fixtures.ledgers import POSTGRESQL_ALONE, Desk, found

from .test_findings_search import owners

pytestmark = POSTGRESQL_ALONE


def has_index(desk: Desk) -> bool:
    with desk.engine.connect() as connection:
        return bool(connection.execute(text("SELECT to_regclass(:name)"), {"name": trigrams.INDEX}).scalar())


def test_an_upgrade_makes_the_index_and_makes_it_again(desk: Desk) -> None:
    assert has_index(desk)
    with desk.engine.begin() as connection:
        connection.exec_driver_sql(f"DROP INDEX {trigrams.INDEX}")
    upgrade(desk.engine)
    assert has_index(desk)


def test_a_login_that_may_not_create_the_extension_upgrades_and_says_what_to_do(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk.engine.begin() as connection:
        connection.exec_driver_sql("DROP EXTENSION pg_trgm CASCADE")
        connection.exec_driver_sql("CREATE ROLE no_superuser")
        connection.exec_driver_sql("GRANT no_superuser TO cloudx")
    monkeypatch.setattr(trigrams, "_STATEMENTS", ("SET LOCAL ROLE no_superuser", *trigrams._STATEMENTS))
    try:
        with capture_logs() as logs:
            upgrade(desk.engine)
    finally:
        with desk.engine.begin() as connection:
            connection.exec_driver_sql("DROP ROLE no_superuser")
    (line,) = [one for one in logs if one["event"] == "database.hostname_search_is_slow"]
    assert "CREATE EXTENSION pg_trgm" in line["remedy"] and "permission denied" in line["reason"]
    assert not has_index(desk)
    scan = scanned(desk, found("10.0.0.1", hostname="www.example.com"), found("10.0.0.2"))
    assert owners(desk, hostname="EXAMPLE") == {("10.0.0.1", 80): scan.id}
