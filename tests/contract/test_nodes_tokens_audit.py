"""Nodes, tokens and the audit trail: on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from cloudx.adapters.database.schema.tables import nodes, tokens
from cloudx.domain.access import Principal, Role
from cloudx.domain.errors import InvalidInput, NodeNotRegistered, NotFound, Unauthenticated
from cloudx.domain.nodes import Check, CheckStatus, Heartbeat, NodeRole, NodeStatus, Registration
from cloudx.services.access.audit import read_audit
from cloudx.services.access.tokens import authenticate_token, issue_token, revoke_token
from cloudx.services.fleet.report import beat_node, register_node
from cloudx.services.scans.control import delete_scan, stop_scan
from fixtures.ledgers import ADMIN, LONG_AGO, Desk

SENT_AT = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)


def beat(desk: Desk, node_id: str = "node-1", status: NodeStatus = NodeStatus.HEALTHY, mem: float = 40.0) -> bool:
    with desk.open_ledger(read_only=True) as ledger:
        before = ledger.nodes.get(node_id)
    heartbeat = Heartbeat(node_id, status, 12.5, mem, (0.1, 0.2, 0.3), SENT_AT)
    return beat_node(desk.open_ledger, heartbeat, before=before).changed


def stored(desk: Desk, node_id: str = "node-1"):
    with desk.open_ledger(read_only=True) as ledger:
        node = ledger.nodes.get(node_id)
        assert node is not None
        return node, ledger.now()


def test_a_node_is_new_once_and_keeps_its_figures_when_it_registers_again(desk: Desk) -> None:
    assert desk.register("node-2") is True
    beat(desk, "node-2")
    first, _ = stored(desk, "node-2")
    checks = (Check("offloads", "Offloads", CheckStatus.WARNING, "turn them off"),)
    said = Registration("node-2", "héb", "10.0.0.3", NodeRole.PRIMARY, ("nmap",), "2.0", checks, 5_000)
    assert register_node(desk.open_ledger, said) is False
    again, now = stored(desk, "node-2")
    assert (again.cpu, again.mem, again.loadavg, again.updated_at) == (12.5, 40.0, (0.1, 0.2, 0.3), SENT_AT)
    assert (again.hostname, again.role, again.capabilities, again.checks) == ("héb", "primary", ("nmap",), checks)
    assert again.registered_at == first.registered_at
    assert (first.rate_limit_pps, again.rate_limit_pps) == (None, 5_000)
    beat(desk, "node-2")
    assert stored(desk, "node-2")[0].rate_limit_pps == 5_000
    assert again.status(now) is NodeStatus.HEALTHY


def test_a_node_of_a_large_fleet_is_told_to_beat_more_slowly_and_is_not_missed_meanwhile(desk: Desk) -> None:
    desk.register("node-2")
    heartbeat = Heartbeat("node-2", NodeStatus.HEALTHY, 12.5, 40.0, (0.1, 0.2, 0.3), SENT_AT)
    assert beat_node(desk.open_ledger, heartbeat).next_seconds == 5.0
    assert beat_node(desk.open_ledger, heartbeat, fleet_size=1_800).next_seconds == 60.0
    node, now = stored(desk, "node-2")
    assert node.status(now + timedelta(seconds=69)) is NodeStatus.HEALTHY
    assert node.status(now + timedelta(seconds=86)) is NodeStatus.OFFLINE
    desk.register("node-2")
    assert stored(desk, "node-2")[0].beat_seconds == 60.0, "a node that registers again was told so all the same"


def test_a_beat_of_an_unknown_node_asks_it_to_register(desk: Desk) -> None:
    with pytest.raises(NodeNotRegistered, match="/api/nodes/register"):
        beat(desk, "nobody")


def test_a_beat_says_whether_it_changed_the_status_and_silence_makes_a_node_offline(desk: Desk) -> None:
    assert beat(desk) is False
    assert beat(desk, status=NodeStatus.DRAINING) is True
    assert beat(desk, status=NodeStatus.DRAINING) is False
    with desk.engine.begin() as connection:
        connection.execute(update(nodes).values(last_seen=LONG_AGO))
    node, now = stored(desk)
    assert node.status(now) is NodeStatus.OFFLINE
    assert node.is_stale(now)
    assert beat(desk) is True
    node, now = stored(desk)
    assert node.status(now) is NodeStatus.HEALTHY


def test_one_node_that_registers_many_times_at_once_is_one_node(desk: Desk) -> None:
    failures: list[BaseException] = []

    def register() -> None:
        try:
            desk.register("twin")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=register) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    with desk.open_ledger(read_only=True) as ledger:
        assert [node.node_id for node in ledger.nodes.all()] == ["node-1", "twin"]


def test_the_scans_a_node_works_on_are_counted_once_each(desk: Desk) -> None:
    for _ in range(2):
        scan = desk.submit("10.0.0.0/16", rate_pps=100)
        for number in range(2):
            claim = desk.must_claim(f"{scan.id}{number}", "node-1", only_scan=scan.id)
            desk.renew(claim, 1.0, sending=False)
    with desk.open_ledger(read_only=True) as ledger:
        assert ledger.nodes.scans_running() == {"node-1": 2}


def test_a_token_opens_until_it_is_revoked_and_its_secret_is_stored_nowhere(desk: Desk) -> None:
    token, secret = issue_token(desk.open_ledger, ADMIN, name="ci", role=Role.OPERATOR)
    assert authenticate_token(desk.open_ledger, secret).role is Role.OPERATOR
    with desk.engine.connect() as connection:
        assert secret not in str(connection.execute(tokens.select()).all())
    for wrong in ("", secret[:-1], secret + "x", token.sha256, "\0", "\ud800"):
        with pytest.raises(Unauthenticated):
            authenticate_token(desk.open_ledger, wrong)
    revoke_token(desk.open_ledger, ADMIN, token.id)
    with pytest.raises(Unauthenticated):
        authenticate_token(desk.open_ledger, secret)
    with pytest.raises(NotFound):
        revoke_token(desk.open_ledger, ADMIN, token.id)


def test_a_token_expires_by_the_clock_of_the_database(desk: Desk) -> None:
    with desk.open_ledger(read_only=True) as ledger:
        soon = ledger.now() + timedelta(hours=1)
    _, secret = issue_token(desk.open_ledger, ADMIN, name="n", role=Role.NODE, node_id="node-1", expires_at=soon)
    assert authenticate_token(desk.open_ledger, secret).node_id == "node-1"
    with desk.engine.begin() as connection:
        connection.execute(update(tokens).values(expires_at=LONG_AGO))
    with pytest.raises(Unauthenticated):
        authenticate_token(desk.open_ledger, secret)
    with pytest.raises(InvalidInput, match="lies in the past"):
        issue_token(desk.open_ledger, ADMIN, name="late", role=Role.VIEWER, expires_at=LONG_AGO)


def test_the_audit_says_who_asked_what_newest_first_and_outlives_the_scan(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24")
    stop_scan(desk.open_ledger, scan.id, ADMIN)
    delete_scan(desk.open_ledger, scan.id, ADMIN)
    with desk.open_ledger(read_only=True) as ledger:
        entries = ledger.audit.entries(3)
    assert [entry.action for entry in entries] == ["scan.delete", "scan.stop", "scan.submit"]
    assert {entry.subject for entry in entries} == {scan.id}
    assert {(entry.principal, entry.role) for entry in entries} == {(ADMIN.name, ADMIN.role.value)}
    assert entries[2].detail == {"target": "10.0.0.0/24", "tool": "masscan", "scan_type": "tcp_scan", "rate": 1000}
    for call in (stop_scan, delete_scan):
        with pytest.raises(NotFound):
            call(desk.open_ledger, scan.id, ADMIN)


def note(desk: Desk, action: str, name: str = "ada") -> None:
    with desk.open_ledger() as ledger:
        ledger.audit.record(Principal(name, Role.OPERATOR), action, "a-record", why="é")
        ledger.commit()


def test_the_audit_is_narrowed_by_principal_action_and_time(desk: Desk) -> None:
    note(desk, "note.add")
    note(desk, "note.add", "bob")
    note(desk, "note.edit", "bob")
    time.sleep(0.01)  # SQLite's clock has milliseconds
    note(desk, "note.delete", "bob")

    def found(**filters: Any) -> set[tuple[str, str]]:
        entries, _ = read_audit(desk.open_ledger, limit=100, **filters)
        assert all(entry.detail == {"why": "é"} for entry in entries)
        return {(entry.principal, entry.action) for entry in entries}

    assert found(principal="bob", action="note.add") == {("bob", "note.add")}
    assert found(action="note.add") == {("bob", "note.add"), ("ada", "note.add")}
    assert found(principal="bo") == found(action="note") == set(), "whole words alone match"
    (newest,), _ = read_audit(desk.open_ledger, limit=1)
    assert found(since=newest.at) == {("bob", "note.delete")}, "its own moment is included"
    assert found(since=newest.at + timedelta(milliseconds=1)) == found(principal="ada", since=newest.at) == set()


def test_the_pages_of_the_audit_hold_each_entry_once_while_others_are_added(desk: Desk) -> None:
    for number in range(10):
        note(desk, f"round.{number}", "pager")
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        page, cursor = read_audit(desk.open_ledger, limit=3, principal="pager", before_id=cursor)
        seen += [entry.action for entry in page]
        pages += 1
        note(desk, "round.late", "pager")
    assert sorted(seen) == [f"round.{number}" for number in range(10)]
    assert pages == 4


def test_the_clock_of_the_ledger_is_aware_and_in_utc(desk: Desk) -> None:
    with desk.open_ledger(read_only=True) as ledger:
        assert ledger.now().utcoffset() == timedelta(0)
        assert abs(ledger.now() - datetime.now(UTC)) < timedelta(seconds=5)
