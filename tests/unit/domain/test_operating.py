"""Why a scan waits, and the bands of rate: every case has one answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.operating.rate_use import RateBand, band_of, bands_of
from cloudx.domain.operating.waiting import Waiting, WaitReason, wait_reason

WAITS = Waiting(
    age_seconds=60, chunks_pending=3, chunks_leased=0, is_held=False, fit_nodes=2, is_held_by_nomad=False,
    is_backing_off=False, granted_to_others_pps=0, nodes_may_send_pps=10_000,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, WaitReason.WORKER),
        ({"chunks_pending": 0}, None),
        ({"chunks_leased": 1}, None),
        ({"age_seconds": 0.5}, None),
        ({"is_held": True, "fit_nodes": 0}, WaitReason.HELD),
        ({"fit_nodes": 0, "is_held_by_nomad": True}, WaitReason.NO_NODE),
        ({"is_held_by_nomad": True, "is_backing_off": True}, WaitReason.NOMAD),
        ({"is_backing_off": True, "granted_to_others_pps": 10_000}, WaitReason.BACK_OFF),
        ({"granted_to_others_pps": 5_000}, WaitReason.TURN),
        ({"granted_to_others_pps": 4_999}, WaitReason.WORKER),
        ({"granted_to_others_pps": 0, "nodes_may_send_pps": 0}, WaitReason.WORKER),
    ],
)
def test_the_first_reason_that_holds_is_the_one_that_is_told(
    changes: dict[str, Any], reason: WaitReason | None
) -> None:
    assert wait_reason(replace(WAITS, **changes)) is reason


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(1, 10**7))))
def test_every_node_is_in_one_band(nodes: list[tuple[int, int]]) -> None:
    bands = bands_of(nodes)
    assert list(bands) == list(RateBand) and sum(bands.values()) == len(nodes)


@given(st.integers(1, 10**7), st.integers(0, 10**7), st.integers(0, 10**7))
def test_more_granted_is_never_a_lower_band(limit: int, one: int, other: int) -> None:
    order = list(RateBand)
    fewer, more = sorted((one, other))
    assert order.index(band_of(fewer, limit)) <= order.index(band_of(more, limit))
