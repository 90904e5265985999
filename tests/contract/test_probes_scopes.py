"""Who probed an address: the scope that allowed it then."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from cloudx.adapters.database.schema.tables import scopes
from cloudx.domain.errors import CloudxError
from cloudx.services.access.edit_policy import add_scope, delete_scope
from fixtures.ledgers import ADMIN, Desk
from fixtures.probes import now_of, probes


def allow(desk: Desk, *targets: str, owner: str) -> str:
    return add_scope(desk.open_ledger, ADMIN, targets=targets, owner=owner, note=f"{owner}'s", expires_at=None).id


def owners(desk: Desk, ip: str) -> list[str | None]:
    return [probe.scope.owner if probe.scope else None for probe in probes(desk, ip)]


def test_the_scope_is_the_narrowest_that_allowed_the_address_then(desk: Desk) -> None:
    allow(desk, "203.0.113.0/24", "198.51.100.0/24", owner="wide")
    allow(desk, "203.0.113.0/28", owner="narrow")
    desk.run_to_end(desk.submit("203.0.113.5", "203.0.113.99"))
    allow(desk, "203.0.113.5", owner="later")
    assert owners(desk, "203.0.113.5") == ["narrow"]
    assert owners(desk, "203.0.113.99") == ["wide"]


def test_a_scope_that_was_removed_since_is_still_told(desk: Desk) -> None:
    removed = allow(desk, "203.0.113.0/24", owner="gone")
    desk.run_to_end(desk.submit("203.0.113.5"))
    delete_scope(desk.open_ledger, ADMIN, removed)
    (probe,) = probes(desk, "203.0.113.5")
    assert probe.scope is not None
    assert (probe.scope.id, probe.scope.owner, probe.scope.note) == (removed, "gone", "gone's")
    with desk.open_ledger(read_only=True) as ledger:
        assert removed not in {scope.id for scope in ledger.policies.scopes()}
    with pytest.raises(CloudxError, match="in no scope"):
        desk.submit("203.0.113.5")


def test_a_scope_that_ended_before_an_attempt_did_not_allow_it(desk: Desk) -> None:
    removed = allow(desk, "10.0.0.0/30", owner="gone")
    expired = allow(desk, "10.0.0.0/29", owner="expired")
    delete_scope(desk.open_ledger, ADMIN, removed)
    with desk.engine.begin() as connection:
        connection.execute(update(scopes).where(scopes.c.id == expired).values(expires_at=now_of(desk)))
    desk.run_to_end(desk.submit("10.0.0.1"))
    assert owners(desk, "10.0.0.1") == ["setup"]


def test_where_no_scope_is_known_there_is_none(desk: Desk) -> None:
    scan = desk.submit("10.0.0.1")
    desk.run_to_end(scan)
    with desk.engine.begin() as connection:
        connection.execute(scopes.delete())
    desk.policies = type(desk.policies)()
    assert owners(desk, "10.0.0.1") == [None]


def test_a_scope_by_name_allowed_the_address_that_was_asked_by_it(open_desk: Desk) -> None:
    allow(open_desk, "b.test", owner="by name")
    open_desk.resolver.move(b_test="203.0.113.8")
    open_desk.run_to_end(open_desk.submit("b.test"))
    assert owners(open_desk, "203.0.113.8") == ["by name"]
