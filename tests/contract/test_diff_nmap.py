"""What changed between two scans of nmap: hosts, services, versions."""

from __future__ import annotations

from typing import Any

import pytest

from cloudx.domain.findings import Finding
from cloudx.services.scans.comparison import DiffSummary
from fixtures.diffs import changes_of, listed, scanned, summary, up
from fixtures.ledgers import Desk, found


class TestNmap:
    """It probes no port of a host that it does not find up, and chooses ports itself where none are named."""

    def test_a_host_that_was_down_the_second_time_is_not_observed(self, desk: Desk) -> None:
        before = scanned(desk, up("10.0.0.1"), found("10.0.0.1"), up("10.0.0.2"), found("10.0.0.2"), tool="nmap")
        after = scanned(desk, up("10.0.0.2"), tool="nmap")
        assert changes_of(desk, before, after) == {("10.0.0.1", 80): "not_observed", ("10.0.0.2", 80): "closed"}
        assert summary(desk, before, after) == DiffSummary(closed=1, not_observed=1)

    @pytest.mark.parametrize(("first", "second", "change"), [
        ({"scan_type": "default"}, {"scan_type": "default"}, "closed"),
        ({"scan_type": "quick"}, {"scan_type": "default"}, "closed"),  # the 100 of the 1,000 most common
        ({"scan_type": "default"}, {"scan_type": "quick"}, "not_observed"),
        ({"scan_type": "default"}, {"scan_type": "full"}, "closed"),
        ({"scan_type": "default"}, {"scan_type": "default", "ports": "1-100"}, "closed"),
        ({"scan_type": "default"}, {"scan_type": "default", "ports": "T:1-79,U:80"}, "not_observed"),
        ({"scan_type": "default", "ports": "80"}, {"scan_type": "default"}, "not_observed"),  # is 80 of its choice?
        ({"scan_type": "default", "ports": "80"}, {"scan_type": "full"}, "closed"),
    ])  # fmt: skip
    def test_its_own_choice_of_ports_is_known_from_a_scan_that_left_it_the_choice_too(
        self, desk: Desk, first: Any, second: Any, change: str
    ) -> None:
        before = scanned(desk, up("10.0.0.1"), found("10.0.0.1"), tool="nmap", **first)
        after = scanned(desk, up("10.0.0.1"), tool="nmap", **second)
        assert changes_of(desk, before, after) == {("10.0.0.1", 80): change}

    def test_udp_ports_beside_tcp_ports_are_closed_by_a_scan_of_both(self, desk: Desk) -> None:
        ports: Any = {"tool": "nmap", "ports": "T:80,U:53"}
        before = scanned(desk, up("10.0.0.1"), found("10.0.0.1"), found("10.0.0.1", 53, "udp"), **ports)
        assert set(changes_of(desk, before, scanned(desk, up("10.0.0.1"), **ports)).values()) == {"closed"}

    def test_hosts_whose_ports_were_cut_close_nothing(self, desk: Desk) -> None:
        slow: Any = {"tool": "nmap", "ports": "1-65535", "rate_pps": 20, "targets": "10.0.0.1"}
        before = scanned(desk, up("10.0.0.1"), found("10.0.0.1"), tool="nmap")
        after = scanned(desk, up("10.0.0.1"), **slow)
        assert after.splits_ports
        assert changes_of(desk, before, after) == {("10.0.0.1", 80): "not_observed"}

    def test_silence_is_no_news_to_a_tool_that_reports_none(self, desk: Desk) -> None:
        silent = found("10.0.0.1", 53, "udp", state="open|filtered")
        before = scanned(desk, up("10.0.0.1"), silent, tool="nmap", scan_type="udp", ports="53")
        after = scanned(desk, scan_type="udp_scan", ports="53")
        assert changes_of(desk, before, after) == {("10.0.0.1", 53): "not_observed"}

    @pytest.mark.parametrize("changed", [{"service": "ssh"}, {"product": "lighttpd"}, {"version": "2"}])
    def test_another_service_product_or_version_is_a_change_if_both_scans_asked(self, desk: Desk, changed: Any) -> None:
        asking: Any = {"tool": "nmap", "scan_type": "intense"}
        before, same = (scanned(desk, up("10.0.0.1"), self.served(), **asking) for _ in range(2))
        after = scanned(desk, up("10.0.0.1"), self.served(**changed), **asking)
        assert listed(desk, before, same) == []
        assert changes_of(desk, before, after) == {("10.0.0.1", 80): "changed"}
        assert summary(desk, before, after) == DiffSummary(changed=1)

    def test_what_else_a_script_says_is_no_change(self, desk: Desk) -> None:
        asking: Any = {"tool": "nmap", "scan_type": "vuln"}
        before = scanned(desk, up("10.0.0.1"), self.served(scripts={"http-date": "Monday"}), **asking)
        after = scanned(desk, up("10.0.0.1"), self.served(scripts={"http-date": "Tuesday"}), **asking)
        assert listed(desk, before, after) == []
        assert summary(desk, before, after) == DiffSummary(unchanged=1)

    @pytest.mark.parametrize("asked_not", [{"tool": "masscan"}, {"tool": "nmap", "scan_type": "default"}])
    def test_a_side_that_asked_for_no_version_makes_no_change(self, desk: Desk, asked_not: Any) -> None:
        asked = scanned(desk, up("10.0.0.1"), self.served(), tool="nmap", scan_type="intense", ports="80")
        other = scanned(desk, found("10.0.0.1"), **asked_not)
        for pair in ((asked, other), (other, asked)):
            assert listed(desk, *pair) == []
            assert summary(desk, *pair) == DiffSummary(unchanged=1)

    @staticmethod
    def served(**changed: Any) -> Finding:
        extra = {"product": "nginx", "version": "1"} | changed
        return found("10.0.0.1", service=extra.pop("service", "http"), extra=extra)
