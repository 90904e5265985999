"""What a report counts, and of which ports it may say that they are not open."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.port_set import PortSet
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.domain.tools import Tool
from cloudx.services.ledger.records import Tally
from cloudx.services.scans.report import HostCounts, count_hosts, proven_ports
from cloudx.services.scans.view import view_of
from unit.domain.scan_builder import NOW, a_scan

KINDS = [
    (Tool.MASSCAN, "tcp_scan", "80,443"), (Tool.MASSCAN, "ping_scan", None), (Tool.ZMAP, "icmp_echo", None),
    (Tool.NMAP, "default", "80"), (Tool.NMAP, "quick", None),
]  # fmt: skip


def over(tool: Tool = Tool.MASSCAN, type_name: str = "tcp_scan", ports: str | None = "80,443", **more: Any) -> Scan:
    scan_type = {"tool": tool, "type_name": type_name, "status": ScanStatus.COMPLETED}
    return a_scan(**{**scan_type, "ports": ports, **more})


@given(
    st.sampled_from(KINDS),
    st.integers(0, 256),
    st.integers(0, 256),
    st.integers(0, 256),
)
def test_the_counts_add_up_and_hold_what_coverage_completed(
    kind: tuple[Tool, str, str | None], completed: int, up: int, unheard: int
) -> None:
    scan = over(*kind)
    view = view_of(scan, Tally(completed_units=completed * scan.units_per_address), NOW)
    counts = count_hosts(view, up, unheard)
    assert counts.up == up and counts.down >= 0
    assert counts.up + counts.down + unheard <= counts.total == max(completed, up + unheard)


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        (KINDS[0], HostCounts(3, 0, 256)),  # masscan asks nobody whether he is there
        (KINDS[1], HostCounts(3, 253, 256)),
        (KINDS[2], HostCounts(3, 253, 256)),
        (KINDS[3], HostCounts(3, 253, 256)),
    ],
)
def test_silence_is_down_only_where_it_was_the_answer_to_are_you_there(
    kind: tuple[Tool, str, str | None], counts: HostCounts
) -> None:
    scan = over(*kind)
    assert count_hosts(view_of(scan, Tally(completed_units=scan.planned_units), NOW), 3, 0) == counts


@pytest.mark.parametrize(
    ("scan", "tally", "proven"),
    [
        (over(), Tally(completed_units=512), "80,443"),
        (over(status=ScanStatus.STOPPED), Tally(completed_units=510), None),
        (over(status=ScanStatus.RUNNING), Tally(completed_units=512), None),
        (over(), Tally(completed_units=510, failed_units=2), None),
        (over(), Tally(completed_units=510, excluded_units=2), None),
        (over(type_name="udp_scan"), Tally(completed_units=512), None),
        (over(type_name="ping_scan", ports=None), Tally(completed_units=256), None),
        (over(Tool.NMAP, "udp", "53"), Tally(completed_units=256), "53"),
        (over(Tool.NMAP, "full", None), Tally(completed_units=256), "1-65535"),
        (over(Tool.NMAP, "quick", None), Tally(completed_units=256), None),
        (over(Tool.ZMAP, "tcp_syn", "22"), Tally(completed_units=256), "22"),
    ],
)
def test_ports_are_proven_only_where_each_was_probed_and_silence_means_not_open(
    scan: Scan, tally: Tally, proven: str | None
) -> None:
    assert proven_ports(view_of(scan, tally, NOW)) == (PortSet.parse(proven) if proven else None)
