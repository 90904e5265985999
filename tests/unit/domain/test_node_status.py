"""What silence, a node's own word and its checks make of its status, and who can run what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.beats import beat_seconds, believed_seconds, seconds_to_next_beat
from cloudx.domain.errors import NoCapableNode
from cloudx.domain.nodes import (
    RAW_SOCKET,
    Check,
    CheckStatus,
    Node,
    NodeRole,
    NodeStatus,
    capable,
    missing_capability,
)
from cloudx.domain.tools import SCAN_TYPES, Tool, scan_type_named
from fixtures.capabilities import CAPABILITIES

NOW = datetime(2026, 1, 1, tzinfo=UTC)
N = NodeStatus
NODE = Node("n1", "host", "10.0.0.1", NodeRole.WORKER, CAPABILITIES, "1.0", NOW, NOW)
SCAN_TYPE = SCAN_TYPES[Tool.MASSCAN, "tcp_scan"]


def silent_for(seconds: float, **values: Any) -> Node:
    return replace(NODE, last_seen=NOW - timedelta(seconds=seconds), **values)


@pytest.mark.parametrize(
    ("seconds", "status"),
    [(-60, N.HEALTHY), (0, N.HEALTHY), (15, N.HEALTHY), (15.1, N.DEGRADED), (30, N.DEGRADED), (30.1, N.OFFLINE),
     (1e8, N.OFFLINE)],
)  # fmt: skip
def test_silence_degrades_a_node_and_then_makes_it_offline(seconds: float, status: NodeStatus) -> None:
    assert silent_for(seconds).status(NOW) is status
    assert silent_for(seconds).is_stale(NOW) == (status is not N.HEALTHY)


def test_a_refusal_never_has_an_empty_reason():
    mute = replace(NODE, checks=(Check("disk", "disk", CheckStatus.CRITICAL),))
    with pytest.raises(NoCapableNode, match="disk: it fails and tells no reason"):
        capable([mute], SCAN_TYPE, NOW)


@pytest.mark.parametrize("reported", N)
def test_silence_outweighs_what_a_node_said_last(reported: NodeStatus) -> None:
    assert silent_for(31, reported_status=reported).status(NOW) is N.OFFLINE
    assert silent_for(0, reported_status=reported).status(NOW) is reported


@pytest.mark.parametrize(
    ("reported", "mem", "check", "status"),
    [
        (N.HEALTHY, 94.9, CheckStatus.PASSING, N.HEALTHY),
        (N.HEALTHY, 95.0, CheckStatus.PASSING, N.DEGRADED),
        (N.HEALTHY, None, CheckStatus.WARNING, N.HEALTHY),
        (N.HEALTHY, 10.0, CheckStatus.CRITICAL, N.CRITICAL),
        (N.DEGRADED, 10.0, CheckStatus.CRITICAL, N.CRITICAL),
        (N.DRAINING, 99.0, CheckStatus.CRITICAL, N.DRAINING),
        (N.OFFLINE, 10.0, CheckStatus.PASSING, N.OFFLINE),
    ],
)
def test_memory_and_checks_weigh_in(reported: N, mem: float | None, check: CheckStatus, status: N) -> None:
    node = replace(NODE, reported_status=reported, mem=mem, checks=(Check("c", "C", check),))
    assert node.status(NOW) is status


@pytest.mark.parametrize("scan_type", SCAN_TYPES.values(), ids=lambda each: f"{each.tool}-{each.name}")
def test_a_node_lacks_nothing_with_everything_and_says_what_to_install_with_nothing(scan_type) -> None:
    assert missing_capability(CAPABILITIES, scan_type) is None
    assert f"apt-get install {scan_type.tool}" in (missing_capability((), scan_type) or "")
    without_raw = tuple(capability for capability in CAPABILITIES if capability != RAW_SOCKET)
    falls_back = scan_type.tool is Tool.NMAP and scan_type.name != "udp"
    assert (missing_capability(without_raw, scan_type) is None) == falls_back


def test_only_nodes_that_are_up_and_able_are_counted_and_a_degraded_one_is() -> None:
    nodes = [
        NODE,
        silent_for(20, node_id="slow"),
        silent_for(99, node_id="gone"),
        replace(NODE, node_id="bare", capabilities=()),
    ]
    assert [node.node_id for node in capable(nodes, SCAN_TYPE, NOW)] == ["n1", "slow"]


@pytest.mark.parametrize("status", [N.OFFLINE, N.DRAINING, N.CRITICAL])
def test_when_no_node_can_the_error_says_what_each_lacks_and_what_to_do(status: NodeStatus) -> None:
    nodes = [replace(NODE, reported_status=status), replace(NODE, node_id="n2", capabilities=())]
    with pytest.raises(NoCapableNode) as caught:
        capable(nodes, SCAN_TYPE, NOW)
    assert set(caught.value.details["nodes"]) == {"n1", "n2"}
    assert f"n1: it is {status}; " in caught.value.message
    assert "apt-get install masscan" in caught.value.message


def test_a_node_that_may_send_less_than_a_scan_type_peaks_at_does_not_run_it_and_says_so() -> None:
    slow, intense = replace(NODE, rate_limit_pps=500), scan_type_named("nmap", "intense")
    with pytest.raises(NoCapableNode, match=r"may send 500 packets .* raise its CLOUDX_NODE_RATE_LIMIT_PPS"):
        capable([slow], intense, NOW)
    assert capable([slow], scan_type_named("nmap", "default"), NOW) == [slow]


def test_without_any_node_the_error_says_how_to_start_one() -> None:
    with pytest.raises(NoCapableNode, match="Start one with `cloudx worker`"):
        capable([], SCAN_TYPE, NOW)


def test_a_beat_that_failed_is_followed_by_two_soon_ones_and_then_by_the_usual_pace() -> None:
    assert [seconds_to_next_beat(failures, 5.0) for failures in (0, 1, 2, 3, 1000)] == [5.0, 1.0, 2.0, 5.0, 5.0]
    assert [seconds_to_next_beat(failures, 60.0) for failures in (0, 1, 2, 3)] == [60.0, 1.0, 2.0, 60.0]


def test_a_node_beats_neither_all_the_time_nor_never_whatever_it_is_told() -> None:
    told = [-1.0, 0.0, 5.0, 100.0, 1e9, float("inf"), float("nan")]
    assert [believed_seconds(seconds) for seconds in told] == [5.0, 5.0, 5.0, 100.0, 600.0, 600.0, 600.0]


@given(st.integers(0, 100_000))
def test_no_fleet_sends_more_than_thirty_beats_a_second_and_a_small_one_beats_each_five(nodes: int) -> None:
    assert nodes / beat_seconds(nodes) <= 30.0 * (1 + 1e-12)
    assert beat_seconds(nodes) >= 5.0
    assert nodes > 150 or beat_seconds(nodes) == 5.0


@pytest.mark.parametrize(
    ("told", "silent", "status"),
    [(5, 15, N.HEALTHY), (5, 16, N.DEGRADED), (5, 31, N.OFFLINE), (60, 70, N.HEALTHY), (60, 71, N.DEGRADED),
     (60, 85, N.DEGRADED), (60, 86, N.OFFLINE)],
)  # fmt: skip
def test_silence_tells_something_ten_seconds_after_the_beat_that_was_due(
    told: float, silent: float, status: NodeStatus
) -> None:
    node = replace(NODE, beat_seconds=told, last_seen=NOW - timedelta(seconds=silent))
    assert node.status(NOW) is status
