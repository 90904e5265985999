"""The states of a scan, all of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cloudx.domain.errors import Conflict, IllegalTransition, InvalidInput
from cloudx.domain.scans import TRANSITIONS, ScanStatus
from cloudx.domain.tools import DEFAULT_RATE_PPS, DEFAULT_SCAN_TYPE, SCAN_TYPES, Tool, scan_type_named
from unit.domain.scan_builder import NOW, a_scan

S = ScanStatus
LEGAL = {
    (S.SUBMITTED, S.RUNNING), (S.SUBMITTED, S.COMPLETED), (S.SUBMITTED, S.FAILED), (S.SUBMITTED, S.STOPPED),
    (S.RUNNING, S.COMPLETED), (S.RUNNING, S.FAILED), (S.RUNNING, S.STOPPED),
}  # fmt: skip
LATER = NOW + timedelta(seconds=9)


@pytest.mark.parametrize("old", S)
@pytest.mark.parametrize("new", S)
def test_a_scan_moves_only_as_the_table_says(old: ScanStatus, new: ScanStatus) -> None:
    scan = a_scan(status=old)
    if (old, new) not in LEGAL:
        with pytest.raises(IllegalTransition) as caught:
            scan.moved_to(new, LATER)
        assert isinstance(caught.value, Conflict)
        return
    moved = scan.moved_to(new, LATER, "why")
    assert (moved.status, moved.error) == (new, "why")
    assert moved.started_at == (LATER if new is S.RUNNING else None)
    assert moved.finished_at == (LATER if new.is_final else None)
    assert scan.status is old


def test_the_table_names_every_state_and_three_of_them_are_final() -> None:
    assert set(TRANSITIONS) == set(S)
    assert {status for status in S if status.is_final} == {S.COMPLETED, S.FAILED, S.STOPPED}


def test_a_running_scan_keeps_when_it_started_and_an_error_is_not_forgotten() -> None:
    running = a_scan().moved_to(S.RUNNING, NOW)
    assert running.moved_to(S.STOPPED, LATER).started_at == NOW
    assert a_scan(error="first").moved_to(S.RUNNING, NOW).error == "first"


def test_what_is_planned_is_counted_in_probes_and_for_nmap_in_hosts() -> None:
    assert a_scan(ports="1-10", excluded_addresses=4).planned_units == 260 * 10
    assert a_scan(tool=Tool.NMAP, ports="1-10", excluded_addresses=4).planned_units == 260
    assert a_scan(tool=Tool.ZMAP, type_name="icmp_echo", ports=None).planned_units == 256


def test_the_scan_types_are_those_of_the_contract() -> None:
    by_tool = {tool: {name for owner, name in SCAN_TYPES if owner is tool} for tool in Tool}
    assert by_tool == {
        Tool.NMAP: {"default", "quick", "intense", "tcp", "udp", "full", "vuln"},
        Tool.ZMAP: {"tcp_syn", "icmp_echo"},
        Tool.MASSCAN: {"tcp_scan", "udp_scan", "ping_scan"},
    }
    assert set(DEFAULT_RATE_PPS) == set(DEFAULT_SCAN_TYPE) == set(Tool)
    for tool in Tool:
        assert scan_type_named(tool, None).name == DEFAULT_SCAN_TYPE[tool]


@pytest.mark.parametrize(
    ("tool", "name", "field"),
    [("nikto", None, "tool"), ("", None, "tool"), ("NMAP", None, "tool"), ("-oN", None, "tool"),
     ("nmap", "tcp_syn", "scan_type"), ("zmap", "--script", "scan_type"), ("masscan", "x" * 999, "scan_type")],
)  # fmt: skip
def test_an_unknown_tool_or_type_is_refused_with_the_list_of_those_there_are(tool: str, name: str, field: str) -> None:
    with pytest.raises(InvalidInput, match="Use one of: ") as caught:
        scan_type_named(tool, name)
    assert caught.value.field == field
    assert len(caught.value.message) < 250
