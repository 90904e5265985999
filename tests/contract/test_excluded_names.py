"""An exclusion by name means every address of the name, now and later: on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine
from typing_extensions import override

from cloudx.domain.addresses import Address
from cloudx.domain.errors import DependencyUnavailable, InvalidInput
from cloudx.domain.names import KEEP_SECONDS
from cloudx.domain.scans import ScanStatus
from cloudx.services.access.edit_policy import delete_exclusion
from cloudx.services.chunks.finish import release_chunk
from cloudx.services.chunks.renew import RenewalResult
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.scans.control import stop_scan
from fixtures.ledgers import ADMIN, Desk, NameTable

NewDesk = Callable[..., Desk]


@pytest.fixture
def new_desk(open_ledger: OpenLedger, engine: Engine) -> NewDesk:
    def make(**answers: str) -> Desk:
        return Desk(open_ledger, engine, NameTable(**answers))

    return make


def known_names(desk: Desk) -> dict[str, list[str]]:
    with desk.open_ledger(read_only=True) as ledger:
        return {record.name: record.addresses().texts() for record in ledger.policies.excluded_names()}


def hours_pass(desk: Desk) -> None:
    """Let every address that was seen have been seen long ago."""
    with desk.open_ledger() as ledger:
        records = ledger.policies.excluded_names()
        ago = ledger.now() - timedelta(seconds=2 * KEEP_SECONDS)
        for record in records:
            ledger.policies.save_names(
                [type(record)(record.name, ago, dict.fromkeys(record.seen, ago))], is_change=False
            )
        ledger.commit()


def test_an_exclusion_by_name_means_its_addresses_of_both_families(new_desk: NewDesk) -> None:
    desk = new_desk(dual_test="10.77.0.5 10.77.0.6 fd77::5")
    desk.exclude("dual.test")
    scan = desk.submit("fd77::4-fd77::6 10.77.0.4-7", tool="nmap")
    assert scan.addresses.texts() == ["10.77.0.4", "10.77.0.7", "fd77::4", "fd77::6"]
    assert scan.excluded_addresses == 3


def test_a_target_of_an_excluded_name_is_excluded_whatever_it_resolves_to(new_desk: NewDesk) -> None:
    desk = new_desk(a_test="10.77.0.5")
    desk.exclude("A.test.")
    elsewhere = NameTable(a_test="10.77.0.9", b_test="10.77.0.6")
    desk.submit_scan = replace(desk.submit_scan, resolver=elsewhere)
    scan = desk.submit("a.test b.test", tool="nmap")
    assert scan.addresses.texts() == ["10.77.0.6"]
    assert scan.excluded_addresses == 1


def test_a_name_excluded_after_the_submit_takes_the_address_that_the_scan_has_for_it(new_desk: NewDesk) -> None:
    desk = new_desk(a_test="10.77.0.5", b_test="10.77.0.6")
    desk.submit("a.test b.test", tool="nmap")
    running = desk.must_claim()
    desk.resolver.move(a_test="10.77.0.9")
    desk.exclude("a.test")
    assert desk.renew(running) is RenewalResult.RELEASE
    release_chunk(desk.open_ledger, running)
    assert desk.must_claim().addresses.texts() == ["10.77.0.6"]


@pytest.mark.parametrize("order", ["a.test b.test", "b.test a.test"])
def test_an_address_of_two_names_is_excluded_by_either_in_any_order(new_desk: NewDesk, order: str) -> None:
    for excluded in ("a.test", "b.test"):
        desk = new_desk(a_test="10.77.0.5", b_test="10.77.0.5 10.77.0.6")
        scan = desk.submit(order, tool="nmap", exclude=(excluded,))
        left = [] if excluded == "b.test" else ["10.77.0.6"]
        assert scan.addresses.texts() == left


def test_at_submit_an_excluded_name_is_looked_up_again(new_desk: NewDesk) -> None:
    desk = new_desk(moves_test="10.77.0.5")
    desk.exclude("moves.test")
    desk.resolver.move(moves_test="10.77.0.6")
    scan = desk.submit("10.77.0.4-7", tool="nmap")
    assert "10.77.0.6" not in {str(address) for address in scan.addresses}


@pytest.mark.parametrize("own", [False, True])
def test_a_chunk_claimed_after_the_name_moved_leaves_the_new_address_out(new_desk: NewDesk, own: bool) -> None:
    desk = new_desk(moves_test="10.77.0.5")
    if not own:
        desk.exclude("moves.test")
    scan = desk.submit("10.77.0.4-7", tool="nmap", exclude=("moves.test",) if own else ())
    desk.resolver.move(moves_test="10.77.0.6 fd77::6")
    claims = desk.run_to_end(scan)
    assert [text for claim in claims for text in claim.addresses.texts()] == ["10.77.0.4", "10.77.0.7"]
    view = desk.show(scan)
    assert view.scan.status is ScanStatus.COMPLETED
    assert (view.coverage.completed, view.coverage.excluded, view.coverage.balances) == (2, 2, True)


@pytest.mark.parametrize("own", [False, True])
def test_a_run_under_way_is_released_and_cut_anew_when_the_clock_finds_a_new_address(
    new_desk: NewDesk, own: bool
) -> None:
    desk = new_desk(moves_test="10.77.0.99")
    if not own:
        desk.exclude("moves.test")
    desk.submit("10.77.0.4-7", tool="nmap", exclude=("moves.test",) if own else ())
    worker = desk.worker_elsewhere()  # whose resolver knows no name: it has the ledger alone
    claim = worker.must_claim()
    assert desk.refresh_names() == 0
    assert worker.renew(claim) is RenewalResult.GO_ON
    desk.resolver.move(moves_test="10.77.0.6")
    assert desk.refresh_names() == 1
    assert worker.renew(claim) is RenewalResult.RELEASE
    release_chunk(worker.open_ledger, claim)
    again = worker.must_claim()
    assert (again.addresses.texts(), again.excluded_units) == (["10.77.0.4-10.77.0.5", "10.77.0.7"], 1)
    assert worker.renew(again) is RenewalResult.GO_ON


def test_a_name_that_stops_resolving_keeps_its_last_addresses(new_desk: NewDesk) -> None:
    desk = new_desk(gone_test="10.77.0.5")
    desk.exclude("gone.test")
    desk.resolver.move(gone_test="")
    hours_pass(desk)
    assert desk.refresh_names() == 0
    assert known_names(desk) == {"gone.test": ["10.77.0.5"]}
    assert desk.submit("10.77.0.5", tool="nmap").addresses.size == 0


def test_a_name_server_that_does_not_answer_takes_no_address_from_an_exclusion(new_desk: NewDesk) -> None:
    class Silent(NameTable):
        @override
        def resolve(self, host_name: str) -> list[Address]:
            raise DependencyUnavailable("no answer")

    desk = new_desk(gone_test="10.77.0.5")
    desk.exclude("gone.test")
    away = desk.worker_elsewhere(Silent())
    away.refresh_names()
    assert away.submit("10.77.0.5", tool="nmap").addresses.size == 0
    with pytest.raises(DependencyUnavailable, match=r"gone\.test"):
        away.exclude("gone.test")


def test_an_address_that_a_name_has_left_stays_excluded_for_a_while_and_not_for_ever(new_desk: NewDesk) -> None:
    desk = new_desk(pool_test="10.77.0.5")
    desk.exclude("pool.test")
    desk.resolver.move(pool_test="10.77.0.6")
    desk.refresh_names()
    assert known_names(desk) == {"pool.test": ["10.77.0.5-10.77.0.6"]}
    hours_pass(desk)
    desk.refresh_names()
    assert known_names(desk) == {"pool.test": ["10.77.0.6"]}


def test_a_worker_s_own_resolver_adds_to_what_the_ledger_has_and_takes_nothing_away(new_desk: NewDesk) -> None:
    desk = new_desk(split_test="10.77.0.5")
    scan = desk.submit("10.77.0.4-7", tool="nmap", exclude=("split.test",))
    desk.resolver.move(split_test="10.77.0.7")
    desk.refresh_names()
    inside = desk.worker_elsewhere(NameTable(split_test="10.77.0.6"))
    claim = inside.must_claim()
    assert claim.addresses.texts() == ["10.77.0.4"]
    assert claim.scan.id == scan.id


def test_names_are_forgotten_when_nothing_excludes_them_any_more(new_desk: NewDesk) -> None:
    desk = new_desk(a_test="10.77.0.5", b_test="10.77.0.6")
    exclusion = desk.exclude("a.test")
    scan = desk.submit("10.77.0.4-7", tool="nmap", exclude=("b.test",))
    desk.refresh_names()
    assert set(known_names(desk)) == {"a.test", "b.test"}
    delete_exclusion(desk.open_ledger, ADMIN, exclusion)
    stop_scan(desk.open_ledger, scan.id, ADMIN)
    desk.refresh_names()
    assert known_names(desk) == {}


def test_an_exclusion_names_every_name_without_an_address_and_keeps_nothing(new_desk: NewDesk) -> None:
    desk = new_desk(a_test="10.77.0.5")
    with pytest.raises(InvalidInput) as refused:
        desk.exclude("a.test", "gone.test", "lost.test")
    assert refused.value.details["host_names"] == ["gone.test", "lost.test"]
    assert known_names(desk) == {}


def test_names_that_did_not_move_leave_the_policy_s_version_alone(new_desk: NewDesk) -> None:
    desk = new_desk(a_test="10.77.0.5")
    desk.exclude("a.test")

    def version() -> int:
        with desk.open_ledger(read_only=True) as ledger:
            return ledger.policies.version()

    before = version()
    desk.refresh_names()
    assert version() == before
    desk.resolver.move(a_test="10.77.0.6")
    desk.refresh_names()
    assert version() > before
