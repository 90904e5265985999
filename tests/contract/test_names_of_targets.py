"""Host names as targets: which of their addresses are scanned, what is said of it, and what results show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Engine
from typing_extensions import override

from cloudx.domain.addresses import Address
from cloudx.domain.errors import DependencyUnavailable, InvalidInput
from cloudx.domain.findings import HostFinding
from cloudx.domain.names import Family
from cloudx.services.access.edit_policy import add_scope
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.results.inline import read_inline
from cloudx.services.scans.results import page_findings
from fixtures.ledgers import ADMIN, SEEN_AT, Desk, NameTable, found

NewDesk = Callable[..., Desk]
DUAL = {"dual_test": "10.77.0.5 fd77::5", "four_test": "10.77.0.6", "six_test": "fd77::6"}


@pytest.fixture
def new_desk(open_ledger: OpenLedger, engine: Engine) -> NewDesk:
    def make(**answers: str) -> Desk:
        return Desk(open_ledger, engine, NameTable(**answers))

    return make


class SomeSilent(NameTable):
    """No name server answers for names that begin with `silent`."""

    @override
    def resolve(self, host_name: str) -> list[Address]:
        if host_name.startswith("silent"):
            raise DependencyUnavailable("no answer")
        return super().resolve(host_name)


def test_two_names_on_one_address_are_both_kept_and_shown_in_results(new_desk: NewDesk) -> None:
    desk = new_desk(a_test="10.77.0.5", b_test="10.77.0.5 10.77.0.6")
    scan = desk.submit("b.test a.test", tool="nmap")
    assert scan.host_names == {"10.77.0.5": ("b.test", "a.test"), "10.77.0.6": ("b.test",)}
    claim = desk.must_claim()
    assert claim.scan.host_names == scan.host_names
    desk.complete(
        claim,
        found("10.77.0.5", extra={"ttl": 64}),
        found("10.77.0.6", extra={"ttl": 64}),
        HostFinding("10.77.0.5", "up", SEEN_AT),
    )
    five, six = page_findings(desk.open_ledger, scan.id, None, 10)[0]
    assert (five.hostname, five.extra) == ("b.test", {"ttl": 64, "hostnames": ["b.test", "a.test"]})
    assert (six.hostname, six.extra) == ("b.test", {"ttl": 64})
    inline = read_inline(desk.open_ledger, scan, is_over=True)
    assert inline is not None
    (host,) = inline.hosts
    assert (host.hostname, host.extra) == ("b.test", {"hostnames": ["b.test", "a.test"]})


@pytest.mark.parametrize("order", ["a.test b.test", "b.test a.test"])
def test_an_address_of_two_names_is_in_scope_if_one_of_them_is_in_any_order(new_desk: NewDesk, order: str) -> None:
    desk = new_desk(a_test="198.51.100.7", b_test="198.51.100.7")
    add_scope(desk.open_ledger, ADMIN, targets=("b.test",), owner="ada", note="", expires_at=None)
    desk.submit(order, tool="nmap")
    assert desk.must_claim().addresses.texts() == ["198.51.100.7"]


def test_a_name_with_both_families_is_scanned_by_ipv4_and_the_scan_says_so(new_desk: NewDesk) -> None:
    desk = new_desk(**DUAL)
    scan = desk.submit("dual.test four.test", tool="nmap")
    assert scan.addresses.texts() == ["10.77.0.5-10.77.0.6"]
    (warning,) = desk.show(scan).warnings
    assert "'dual.test'" in warning and "four.test" not in warning and "IPv6" in warning and '"both"' in warning


@pytest.mark.parametrize(
    ("family", "target", "scanned", "warned"),
    [
        (None, "four.test", ["10.77.0.6"], 0),
        (None, "six.test", ["fd77::6"], 1),
        (Family.IPV4, "dual.test", ["10.77.0.5"], 1),
        (Family.IPV6, "dual.test six.test", ["fd77::5-fd77::6"], 0),
        (Family.BOTH, "dual.test four.test six.test", ["10.77.0.5-10.77.0.6", "fd77::5-fd77::6"], 0),
        (Family.IPV6, "dual.test 10.77.0.9", ["10.77.0.9", "fd77::5"], 0),  # what is written as an address is meant
    ],
)
def test_the_family_says_which_addresses_of_a_name_are_scanned(
    new_desk: NewDesk, family: Family | None, target: str, scanned: list[str], warned: int
) -> None:
    desk = new_desk(**DUAL)
    scan = desk.submit(target, tool="nmap", family=family)
    assert scan.addresses.texts() == scanned
    assert len(desk.show(scan).warnings) == warned


def test_a_name_without_an_address_of_the_family_that_was_asked_for_is_named(new_desk: NewDesk) -> None:
    desk = new_desk(**DUAL)
    with pytest.raises(InvalidInput, match=r"'six\.test' has no IPv4 address") as refused:
        desk.submit("dual.test six.test", tool="nmap", family=Family.IPV4)
    assert refused.value.details["host_names"] == ["six.test"]


def test_a_mapped_address_of_a_name_is_its_ipv4_address(new_desk: NewDesk) -> None:
    desk = new_desk(odd_test="::ffff:10.77.0.5")
    scan = desk.submit("odd.test", tool="nmap")
    assert scan.host_names == {"10.77.0.5": ("odd.test",)}
    assert desk.submit("odd.test", tool="nmap", exclude=("odd.test",)).addresses.size == 0


def test_all_dead_names_of_targets_and_exclusions_are_named_in_one_answer(new_desk: NewDesk) -> None:
    desk = new_desk(a_test="10.77.0.5")
    with pytest.raises(InvalidInput) as refused:
        desk.submit("gone.test a.test lost.test", tool="nmap", exclude=("away.test",))
    assert refused.value.field == "target"
    assert refused.value.details["host_names"] == ["gone.test", "lost.test", "away.test"]
    assert desk.count("scans") == 0


def test_a_scan_that_skips_dead_names_goes_on_and_its_warning_names_them(new_desk: NewDesk) -> None:
    desk = new_desk(a_test="10.77.0.5")
    desk.submit_scan = replace(desk.submit_scan, resolver=SomeSilent(a_test="10.77.0.5"))
    dead = [f"gone{number}.test" for number in range(30)]
    scan = desk.submit(" ".join([*dead, "a.test", "silent.test"]), tool="nmap", skip_unresolved=True)
    assert scan.addresses.texts() == ["10.77.0.5"]
    of_dead, of_silent = desk.show(scan).warnings
    assert all(f"'{name}'" in of_dead for name in dead)
    assert "'a.test'" not in of_dead and "'silent.test'" in of_silent


def test_an_excluded_name_is_never_skipped(new_desk: NewDesk) -> None:
    desk = new_desk(a_test="10.77.0.5")
    with pytest.raises(InvalidInput) as refused:
        desk.submit("a.test gone.test", tool="nmap", exclude=("lost.test",), skip_unresolved=True)
    assert (refused.value.field, refused.value.details["host_names"]) == ("exclude", ["lost.test"])
    assert desk.count("scans") == 0


def test_a_scan_of_dead_names_alone_is_refused_even_if_it_skips_them(new_desk: NewDesk) -> None:
    desk = new_desk()
    with pytest.raises(InvalidInput, match=r"gone\.test"):
        desk.submit("gone.test", tool="nmap", skip_unresolved=True)


def test_names_that_no_name_server_answers_for_can_be_tried_again(new_desk: NewDesk) -> None:
    desk = new_desk()
    desk.submit_scan = replace(desk.submit_scan, resolver=SomeSilent(a_test="10.77.0.5"))
    with pytest.raises(DependencyUnavailable) as refused:
        desk.submit("silent1.test a.test silent2.test", tool="nmap")
    assert refused.value.details["host_names"] == ["silent1.test", "silent2.test"]
