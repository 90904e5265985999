"""What a completed probe rests on: it left, it was tried so often, and its answer was waited for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.addresses import AddressSet, to_key
from cloudx.domain.findings import Finding
from cloudx.domain.port_set import PortSet
from cloudx.domain.proof.probe_set import ProbeSet
from cloudx.domain.proof.sending import SendRecord, why_unsent
from cloudx.domain.proof.tries import Assumes, assumes, tries_of
from cloudx.domain.targets import parse_targets
from cloudx.domain.tools import Tool
from unit.domain.scan_builder import a_scan

PORTS = PortSet(((80, 81), (443, 443)))
ADDRESSES = parse_targets("10.0.0.3-10.0.0.6 10.0.9.1").addresses
PROBES = [(str(address), port) for address in ADDRESSES for port in (80, 81, 443)]


def found(ip: str, port: int) -> Finding:
    return Finding(ip, "tcp", port, "open", datetime.now(UTC))


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.integers(0, 100), st.integers(0, 100))
def test_a_run_is_proved_only_if_every_probe_left_and_nothing_was_dropped(
    probes: int, planned: int, dropped: int, carrier_changes: int
) -> None:
    proved = why_unsent(SendRecord("eth0", probes, dropped, carrier_changes), planned) is None
    assert proved == (probes >= planned and dropped == 0 and carrier_changes == 0)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (SendRecord("eth0", 5, carrier_changes=2), "eth0 lost its link"),
        (SendRecord("eth0", 5, dropped=3), "eth0 dropped 3 frames"),
        (SendRecord("eth0", 4), "only 4 of 5 probes left by eth0"),
    ],
)
def test_the_reason_names_the_interface_and_a_remedy(record: SendRecord, words: str) -> None:
    reason = why_unsent(record, 5)
    assert reason is not None
    assert words in reason
    assert "Check" in reason or "Lower the rate" in reason


@given(st.lists(st.sampled_from(PROBES)))
def test_each_probe_is_answered_once_and_the_rest_is_tried_again(answered: list[tuple[str, int]]) -> None:
    answered_probes = ProbeSet(ADDRESSES, PORTS)
    first = [answered_probes.add_finding(found(ip, port)) for ip, port in answered]
    assert sum(first) == len(set(answered))
    open_probes = {ip for ip, port in PROBES if (ip, port) not in answered}
    assert {str(address) for address in answered_probes.addresses_not_whole()} == open_probes


@given(st.ip_addresses(v=4), st.integers(1, 65535))
def test_an_answer_from_elsewhere_is_none(ip: object, port: int) -> None:
    answered_probes = ProbeSet(ADDRESSES, PORTS)
    assert answered_probes.add_finding(found(str(ip), port)) == ((str(ip), port) in PROBES)


def test_an_answered_ping_needs_no_port() -> None:
    answered_probes = ProbeSet(AddressSet.of([(to_key(a), to_key(a)) for a in ADDRESSES]), None)
    assert answered_probes.add_finding(found("10.0.9.1", 0))
    assert answered_probes.addresses_not_whole() == parse_targets("10.0.0.3-10.0.0.6").addresses


@pytest.mark.parametrize(
    ("tool", "retries", "lossy", "tries"),
    [
        ("masscan", None, False, 1),
        ("masscan", None, True, 2),
        ("masscan", 0, True, 1),
        ("masscan", 5, False, 6),
        ("zmap", None, True, 1),
        ("zmap", 2, False, 3),
        ("nmap", 5, True, 1),
    ],
)
def test_a_probe_is_tried_as_often_as_asked_and_twice_where_masscan_loses_answers(
    tool: str, retries: int | None, lossy: bool, tries: int
) -> None:
    assert tries_of(replace(a_scan(tool=Tool(tool)), retries=retries), replies_get_lost=lossy) == tries


def test_coverage_says_what_it_rests_on() -> None:
    assert assumes(replace(a_scan(tool=Tool("masscan")), retries=2)) == Assumes(3, 3.0)
    assert assumes(a_scan(tool=Tool("zmap"))) == Assumes(1, 3.0)
    assert assumes(a_scan(tool=Tool("nmap"))) == Assumes(7, 1.25)
    assert assumes(replace(a_scan(tool=Tool("nmap")), retries=0)) == Assumes(1, 1.25)
