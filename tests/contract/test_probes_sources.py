"""Who probed an address, and from which: what a source is, and what an address is."""

from __future__ import annotations

import pytest

from cloudx.domain.errors import InvalidInput, LeaseLost
from cloudx.services.chunks.note_source import note_source
from cloudx.services.chunks.reconcile import reconcile_scans
from fixtures.ledgers import POSTGRESQL_ALONE, Desk
from fixtures.probes import probes


def test_what_a_source_was_first_stays_and_a_lost_lease_notes_none(desk: Desk) -> None:
    desk.submit("10.0.0.1")
    claim = desk.must_claim()
    note_source(desk.open_ledger, claim.lease, "192.0.2.1")
    note_source(desk.open_ledger, claim.lease, "192.0.2.2")
    with pytest.raises(LeaseLost):
        note_source(desk.open_ledger, desk.as_attempt(claim, 2).lease, "192.0.2.3")
    desk.expire(claim)
    reconcile_scans(desk.open_ledger)
    with pytest.raises(LeaseLost):
        note_source(desk.open_ledger, claim.lease, "192.0.2.4")
    assert [probe.attempt.source_ip for probe in probes(desk, "10.0.0.1")] == ["192.0.2.1"]


def test_an_ipv6_source_is_kept(desk: Desk) -> None:
    desk.submit("fd77::1", tool="nmap")
    note_source(desk.open_ledger, desk.must_claim().lease, "fd78::2")
    assert [probe.attempt.source_ip for probe in probes(desk, "fd77::1")] == ["fd78::2"]


@POSTGRESQL_ALONE
@pytest.mark.parametrize("source", ["10.0.0.0/8", "fd00::/64", "not one", "", None, "10.0.0.1; DROP TABLE attempts"])
def test_a_source_is_the_address_of_one_machine(desk: Desk, source: str) -> None:
    desk.submit("10.0.0.1")
    claim = desk.must_claim()
    with pytest.raises(Exception, match=r"address of one machine|invalid input syntax"):
        note_source(desk.open_ledger, claim.lease, source)
    assert [probe.attempt.source_ip for probe in probes(desk, "10.0.0.1")] == [None]


@pytest.mark.parametrize("ip", ["", "10.0.0.0/24", "10.0.0", "10.0.0.1-2", "a.test", "fe80::1%eth0", "010.0.0.1", "-1"])
def test_what_is_no_address_is_refused_by_its_field(desk: Desk, ip: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        probes(desk, ip)
    assert refused.value.field == "ip"
