"""Hosts that answer on everything become one verdict; all others keep each of their ports."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.findings import AnyFinding, Finding, HostFinding
from cloudx.domain.port_set import PortSet
from cloudx.domain.proof.tarpits import ANSWERS_ALL, MIN_PORTS, fold_tarpits

NOW = datetime(2026, 1, 2, tzinfo=UTC)
PORTS = PortSet(((1, 200),))


def open_ports(ip: str, count: int) -> list[Finding]:
    return [Finding(ip, "tcp", port, "open", NOW) for port in range(1, count + 1)]


@given(st.lists(st.integers(0, 200), min_size=1, max_size=8))
def test_a_host_is_folded_exactly_if_it_answers_on_nearly_all_of_its_ports(counts: list[int]) -> None:
    found = [one for last, count in enumerate(counts) for one in open_ports(f"10.0.0.{last * 2}", count)]
    kept = list(fold_tarpits(lambda: iter(found), PORTS, PORTS.size))
    folded = {one.ip for one in kept if isinstance(one, Finding) and one.state == ANSWERS_ALL}
    assert folded == {f"10.0.0.{last * 2}" for last, count in enumerate(counts) if count >= 190}
    assert sum(isinstance(one, Finding) and one.state == "open" for one in kept) == sum(
        count for count in counts if count < 190
    )


def test_neighbours_are_one_verdict_together_that_names_prefix_and_ports() -> None:
    found = [one for last in range(4, 8) for one in open_ports(f"10.0.0.{last}", 200)]
    (verdict,) = fold_tarpits(lambda: iter(found), PORTS, PORTS.size)
    assert isinstance(verdict, Finding)
    assert (verdict.ip, verdict.port, verdict.protocol) == ("10.0.0.4", 1, "tcp")
    assert verdict.extra == {"prefix": "10.0.0.4/30", "probed_ports": "1-200"}


def test_a_host_that_serves_all_of_a_few_ports_keeps_them() -> None:
    few = PortSet(((1, MIN_PORTS - 1),))
    found = open_ports("10.0.0.1", few.size)
    assert list(fold_tarpits(lambda: iter(found), few, few.size)) == found


def test_what_is_not_an_open_port_stays() -> None:
    host, closed = HostFinding("10.0.0.1", "up", NOW), Finding("10.0.0.1", "tcp", 201, "closed", NOW)
    found: list[AnyFinding] = [host, *open_ports("10.0.0.1", 200), closed]
    assert list(fold_tarpits(lambda: iter(found), PORTS, PORTS.size))[:2] == [host, closed]
