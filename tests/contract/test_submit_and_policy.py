"""What is admitted, and what a changed policy does to running scans: on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, update

from cloudx.adapters.database.schema.tables import scopes
from cloudx.domain.errors import Conflict, InvalidInput, NoCapableNode, NotFound, TargetOutOfScope, TooLarge
from cloudx.domain.scans import ScanStatus
from cloudx.services.access.edit_policy import AddExclusion, add_scope, delete_exclusion, delete_scope
from cloudx.services.chunks.finish import release_chunk
from cloudx.services.chunks.queue import Claimant
from cloudx.services.chunks.renew import RenewalResult
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.scans.results import page_findings
from fixtures.ledgers import ADMIN, LONG_AGO, Desk, NameTable, found


def exclude(desk: Desk, *targets: str) -> str:
    return AddExclusion(desk.open_ledger, NameTable())(ADMIN, targets=targets, note="").id


def allow(desk: Desk, *targets: str, seconds: float | None = None) -> str:
    with desk.open_ledger(read_only=True) as ledger:
        expires_at = None if seconds is None else ledger.now() + timedelta(seconds=seconds)
    scope = add_scope(desk.open_ledger, ADMIN, targets=targets, owner="ada", note="", expires_at=expires_at)
    return scope.id


def expire_scope(desk: Desk, scope_id: str) -> None:
    with desk.engine.begin() as connection:
        connection.execute(update(scopes).where(scopes.c.id == scope_id).values(expires_at=LONG_AGO))
    desk.policies._held = (-1, desk.policies._held[1])  # the clock moved, not the policy: tests alone write this


def nothing_was_written(desk: Desk) -> bool:
    return desk.count("scans") == desk.count("chunks") == desk.count("idempotency_keys") == 0


@pytest.mark.parametrize("target", ["8.8.8.8", "10.0.0.1 8.8.8.8", "10.0.0.0/7", "2001:db8::1"])
def test_a_target_that_is_partly_out_of_scope_is_refused_whole(desk: Desk, target: str) -> None:
    with pytest.raises(TargetOutOfScope, match="cloudx scopes add"):
        desk.submit(target, tool="nmap")
    assert nothing_was_written(desk)


def test_without_a_node_that_can_run_it_a_scan_is_refused_with_the_remedy(
    open_ledger: OpenLedger, engine: Engine
) -> None:
    desk = Desk(open_ledger, engine)
    desk.register("node-1", ("nmap",))
    with pytest.raises(NoCapableNode, match="apt-get install masscan"):
        desk.submit("10.0.0.0/24")
    with pytest.raises(NoCapableNode, match="raw sockets"):
        desk.submit("10.0.0.0/24", tool="nmap", scan_type="udp")
    assert nothing_was_written(desk)
    assert desk.submit("10.0.0.0/24", tool="nmap").status is ScanStatus.SUBMITTED


def test_udp_ports_beside_tcp_ones_need_raw_sockets_at_submit_and_at_the_claim(
    open_ledger: OpenLedger, engine: Engine
) -> None:
    desk = Desk(open_ledger, engine)
    desk.register("node-1", ("nmap",))
    with pytest.raises(NoCapableNode, match="raw sockets"):
        desk.submit("10.0.0.0/28", tool="nmap", ports="T:80,U:53")
    desk.register("node-1")
    scan = desk.submit("10.0.0.0/28", tool="nmap", ports="T:http,U:53")
    with open_ledger(read_only=True) as ledger:
        (waiting,) = ledger.claims.queue("vps1", None).scans
    assert waiting.type.needs_raw_socket
    assert desk.claim_chunk(Claimant("w", "node-2", ("nmap",), 1000)) is None
    claim = desk.must_claim()
    assert (claim.scan.id, str(claim.ports)) == (scan.id, "T:80,U:53")


@pytest.mark.parametrize(
    ("targets", "more"),
    [
        (("fc00::/7",), {"exclude": ("fc00::1-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",)}),
        (("fc00::/7",), {}),
        (("fd00::/64",), {}),
    ],
)
def test_more_addresses_than_the_ledger_can_count_are_refused(
    desk: Desk, targets: tuple[str, ...], more: dict[str, Any]
) -> None:
    with pytest.raises(TooLarge):
        desk.submit(*targets, tool="nmap", **more)
    assert nothing_was_written(desk)


@pytest.mark.parametrize("target", ["127.0.0.1", "10.0.0.1 127.9.9.9", "::1"])
@pytest.mark.parametrize("asked", [{"tool": "masscan", "ports": "80"}, {"tool": "zmap", "ports": "80"}])
def test_what_masscan_and_zmap_can_never_reach_is_refused_with_the_remedy(
    desk: Desk, target: str, asked: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput, match="use nmap for") as refused:
        desk.submit(target, **asked)
    assert refused.value.field == "target"
    assert nothing_was_written(desk)


def test_loopback_that_is_excluded_does_not_stop_a_masscan(desk: Desk) -> None:
    scan = desk.submit("10.0.0.1 127.0.0.0/8", tool="masscan", ports="80", exclude=("127.0.0.0/8",))
    assert scan.addresses.texts() == ["10.0.0.1"]


def test_a_whole_slash_8_is_planned_and_stored_in_bounded_chunks(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/8", ports="1-1000", rate_pps=100_000)
    assert sum(row["address_count"] * row["port_count"] for row in desk.chunk_rows(scan)) == 2**24 * 1000
    assert len(desk.chunk_rows(scan)) <= 110_000


def test_what_is_excluded_at_submit_is_counted_and_never_handed_out(desk: Desk) -> None:
    exclude(desk, "10.0.0.128/25")
    scan = desk.submit("10.0.0.0/24", exclude=("10.0.0.0/26",))
    claims = desk.run_to_end(scan)
    assert sum(claim.addresses.size for claim in claims) == 64
    view = desk.show(scan)
    assert view.scan.status is ScanStatus.COMPLETED
    assert (view.coverage.planned, view.coverage.excluded, view.coverage.completed) == (256, 192, 64)
    assert (view.coverage.balances, view.coverage.remaining) == (True, 0)


def test_a_scan_of_which_everything_is_excluded_is_complete_at_once(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24", exclude=("10.0.0.0/8",))
    view = desk.show(scan)
    assert view.scan.status is ScanStatus.COMPLETED
    assert (view.coverage.balances, view.coverage.remaining) == (True, 0)
    assert (view.coverage.excluded, view.progress) == (256, 100.0)
    assert desk.claim() is None


def test_an_address_excluded_after_submit_is_left_out_of_every_later_claim(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24")
    exclude(desk, "10.0.0.0/25")
    claim = desk.must_claim()
    assert claim.addresses.texts() == ["10.0.0.128-10.0.0.255"]
    assert claim.excluded_units == 128
    desk.complete(claim, found("10.0.0.200"))
    view = desk.show(scan)
    assert (view.coverage.balances, view.coverage.remaining) == (True, 0)
    assert (view.coverage.completed, view.coverage.excluded) == (128, 128)


def test_an_address_excluded_while_it_is_probed_makes_the_worker_give_the_chunk_back(desk: Desk) -> None:
    desk.submit("10.0.0.0/24")
    claim = desk.must_claim()
    exclude(desk, "192.168.0.0/16")
    assert desk.renew(claim) is RenewalResult.GO_ON
    exclusion = exclude(desk, "10.0.0.7")
    assert desk.renew(claim) is RenewalResult.RELEASE
    release_chunk(desk.open_ledger, claim)
    again = desk.must_claim()
    assert (again.addresses.size, again.excluded_units) == (255, 1)
    delete_exclusion(desk.open_ledger, ADMIN, exclusion)
    assert desk.renew(again) is RenewalResult.GO_ON


@pytest.mark.parametrize("withdraw", ["delete", "expire"])
def test_a_scope_that_ends_fails_the_scan_at_the_next_renewal(desk: Desk, withdraw: str) -> None:
    scope = allow(desk, "203.0.113.0/24", seconds=3600)
    scan = desk.submit("203.0.113.0/24", rate_pps=10)
    claim = desk.must_claim()
    assert desk.renew(claim) is RenewalResult.GO_ON
    delete_scope(desk.open_ledger, ADMIN, scope) if withdraw == "delete" else expire_scope(desk, scope)
    assert desk.renew(claim) is RenewalResult.DROP
    view = desk.show(scan)
    assert view.scan.status is ScanStatus.FAILED
    assert "no live scope any more" in (view.scan.error or "")
    release_chunk(desk.open_ledger, claim)
    assert {row["state"] for row in desk.chunk_rows(scan)} == {"cancelled"}
    assert desk.show(scan).coverage.balances


def test_a_scope_that_ended_before_the_claim_fails_the_scan_and_keeps_no_chunk_leased(desk: Desk) -> None:
    scope = allow(desk, "203.0.113.0/24")
    scan = desk.submit("203.0.113.0/24", rate_pps=10)
    delete_scope(desk.open_ledger, ADMIN, scope)
    assert desk.claim() is None
    assert desk.show(scan).scan.status is ScanStatus.FAILED
    assert {row["state"] for row in desk.chunk_rows(scan)} == {"cancelled"}


def test_a_name_in_a_scope_allows_what_it_resolves_to_and_nothing_beside_it(
    open_ledger: OpenLedger, engine: Engine
) -> None:
    resolver = NameTable(www_example="198.51.100.7 198.51.100.8 2001:db8::7", other_example="198.51.100.9")
    desk = Desk(open_ledger, engine, resolver)
    allow(desk, "www.example")
    scan = desk.submit("www.example", tool="nmap")
    assert desk.must_claim().addresses.texts() == ["198.51.100.7-198.51.100.8"]  # IPv4 where a name has both
    assert scan.host_names == {"198.51.100.7": ("www.example",), "198.51.100.8": ("www.example",)}
    for outside in ("198.51.100.7", "other.example", "www.example 198.51.100.9"):
        with pytest.raises(TargetOutOfScope):
            desk.submit(outside, tool="nmap")
    with pytest.raises(InvalidInput, match="has no address"):
        desk.submit("gone.example", tool="nmap")


def test_an_excluded_name_means_every_address_it_has_of_both_versions(open_ledger: OpenLedger, engine: Engine) -> None:
    desk = Desk(open_ledger, engine, NameTable(dual_test="10.77.0.5 10.77.0.6 fd77::5"))
    scan = desk.submit("fd77::4-fd77::6 10.77.0.4-7", tool="nmap", exclude=("dual.test",))
    assert scan.excluded_addresses == 3
    assert scan.addresses.texts() == ["10.77.0.4", "10.77.0.7", "fd77::4", "fd77::6"]


def test_a_target_of_an_excluded_name_is_left_out(open_ledger: OpenLedger, engine: Engine) -> None:
    desk = Desk(open_ledger, engine, NameTable(a_test="10.77.0.5", b_test="10.77.0.6"))
    scan = desk.submit("a.test b.test", tool="nmap", exclude=("A.test",))
    assert scan.addresses.texts() == ["10.77.0.6"]


def test_all_names_without_an_address_are_named_in_one_answer(open_ledger: OpenLedger, engine: Engine) -> None:
    desk = Desk(open_ledger, engine, NameTable(a_test="10.77.0.5"))
    with pytest.raises(InvalidInput, match=r"2 host names: 'gone\.test', 'lost\.test' have no address") as refused:
        desk.submit("gone.test a.test lost.test", tool="nmap")
    assert refused.value.details["host_names"] == ["gone.test", "lost.test"]


@pytest.mark.parametrize("spelling", ["::ffff:10.77.0.5", "64:ff9b::10.77.0.5", "2002:a4d:5::1", "::ffff:127.0.0.1"])
def test_no_spelling_of_an_excluded_machine_is_probed(desk: Desk, spelling: str) -> None:
    allow(desk, "::/0")
    exclude(desk, "10.77.0.5", "127.0.0.0/8")
    assert desk.submit(spelling, tool="nmap").addresses.size == 0


def test_a_scope_of_all_ipv6_authorises_no_ipv4_machine(desk: Desk) -> None:
    allow(desk, "::/0")
    with pytest.raises(TargetOutOfScope):
        desk.submit("::ffff:203.0.113.9", tool="nmap")
    with pytest.raises(TargetOutOfScope):
        desk.submit("64:ff9b::203.0.113.9", tool="nmap")


def test_every_change_of_the_policy_moves_its_version_and_its_audit(desk: Desk) -> None:
    def version() -> int:
        with desk.open_ledger(read_only=True) as ledger:
            return ledger.policies.version()

    seen = [version()]
    scope = allow(desk, "203.0.113.0/24")
    seen.append(version())
    exclusion = exclude(desk, "10.0.0.1")
    seen.append(version())
    delete_scope(desk.open_ledger, ADMIN, scope)
    seen.append(version())
    delete_exclusion(desk.open_ledger, ADMIN, exclusion)
    seen.append(version())
    assert seen == sorted(set(seen))
    for call, missing in ((delete_scope, scope), (delete_exclusion, exclusion), (delete_scope, "no uuid")):
        with pytest.raises(NotFound):
            call(desk.open_ledger, ADMIN, missing)
    assert version() == seen[-1]
    with desk.open_ledger(read_only=True) as ledger:
        entries = ledger.audit.entries(4)
    assert [entry.action for entry in entries] == ["exclusion.delete", "scope.delete", "exclusion.add", "scope.add"]
    assert {(entry.principal, entry.role) for entry in entries} == {("ada", "admin")}


def test_a_scope_cannot_begin_in_the_past_or_without_targets(desk: Desk) -> None:
    with pytest.raises(InvalidInput, match="lies in the past"):
        allow(desk, "203.0.113.0/24", seconds=-1)
    with pytest.raises(InvalidInput):
        allow(desk)


def test_an_idempotency_key_gives_the_first_scan_again_and_refuses_a_different_one(desk: Desk) -> None:
    first = desk.submit("10.0.0.0/24", key="k")
    assert desk.submit("10.0.0.0/24", key="k").id == first.id
    assert desk.submit("10.0.0.0/24", key="other").id != first.id
    with pytest.raises(Conflict, match="different scan"):
        desk.submit("10.0.0.0/25", key="k")
    assert desk.count("scans") == 2


def test_one_key_sent_by_many_at_once_gives_one_scan(desk: Desk) -> None:
    ids: list[str] = []
    gate = threading.Barrier(8)

    def send() -> None:
        gate.wait(10)
        ids.append(desk.submit("10.0.0.0/16", key="same").id)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(ids) == 8
    assert len(set(ids)) == 1
    assert (desk.count("scans"), desk.count("idempotency_keys")) == (1, 1)
    assert desk.show(desk.submit("10.0.0.0/16", key="same")).tally.chunks_total == desk.count("chunks")


def test_scans_are_claimed_by_priority_and_then_by_age(desk: Desk) -> None:
    scans = [desk.submit("10.0.0.0/24", priority=priority) for priority in (0, 5, 0, 9)]
    order = [desk.must_claim().scan.id for _ in scans]
    assert order == [scans[3].id, scans[1].id, scans[0].id, scans[2].id]


def test_no_findings_are_shown_of_a_scan_that_does_not_exist(desk: Desk) -> None:
    for unknown in ("00000000-0000-7000-8000-000000000000", "../../etc/passwd", "", "\0"):
        with pytest.raises(NotFound):
            page_findings(desk.open_ledger, unknown, None, 10)
