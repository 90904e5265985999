"""What became of a port between two scans: the algebra."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.diff.changes import LISTED, Change, change_of


@dataclass(frozen=True)
class Seen:
    """A finding as a comparison sees it."""

    state: str = "open"
    service: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


TEXTS = st.none() | st.sampled_from(["http", "ssh", "1.0"])
EXTRAS = st.dictionaries(st.sampled_from(["product", "version", "ttl", "scripts"]), TEXTS, max_size=4)
FINDINGS = st.builds(Seen, st.sampled_from(["open", "open|filtered", "up"]), TEXTS, EXTRAS)
SCANS = st.dictionaries(st.integers(1, 20), FINDINGS)
KEYS = st.sets(st.integers(1, 20))

MIRRORED = {
    Change.OPENED: Change.CLOSED,
    Change.CLOSED: Change.OPENED,
    Change.CHANGED: Change.CHANGED,
    Change.UNCHANGED: Change.UNCHANGED,
}


def diff(before: dict[int, Seen], after: dict[int, Seen], probed: set[int], versions: bool) -> dict[int, Change]:
    """Of two scans, the second of which probed these again."""
    return {
        key: change_of(before.get(key), after.get(key), compares_versions=versions, is_shut=key in probed)
        for key in before.keys() | after.keys()
    }


@given(SCANS, SCANS, st.booleans())
def test_where_both_scans_probed_everything_the_other_order_swaps_opened_and_closed(before, after, versions):
    everything = set(range(1, 21))
    forth, back = diff(before, after, everything, versions), diff(after, before, everything, versions)
    assert {key: MIRRORED[change] for key, change in forth.items()} == back


@given(SCANS, SCANS, KEYS, st.booleans())
def test_the_counts_add_up_to_every_port_that_either_scan_found(before, after, probed, versions):
    counts = Counter(diff(before, after, probed, versions).values())
    assert sum(counts.values()) == len(before.keys() | after.keys())
    assert counts[Change.OPENED] == len(after.keys() - before.keys())
    assert counts[Change.CHANGED] + counts[Change.UNCHANGED] == len(before.keys() & after.keys())
    assert counts[Change.CLOSED] == len((before.keys() - after.keys()) & probed)


@given(SCANS, KEYS, st.booleans())
def test_a_scan_beside_itself_is_unchanged(scan, probed, versions):
    assert set(diff(scan, scan, probed, versions).values()) <= {Change.UNCHANGED}


@given(SCANS, SCANS, KEYS, KEYS)
def test_the_more_a_scan_probed_the_less_is_not_observed_and_nothing_else_moves(before, after, probed, more):
    first, second = (diff(before, after, keys, versions=True) for keys in (probed, probed | more))
    for key, change in first.items():
        assert second[key] is change or (change, second[key]) == (Change.NOT_OBSERVED, Change.CLOSED)


@given(FINDINGS, FINDINGS)
def test_without_versions_the_state_alone_counts(before, after):
    change = change_of(before, after, compares_versions=False)
    assert (change is Change.CHANGED) == (before.state != after.state)


@pytest.mark.parametrize("name", ["product", "version"])
@given(FINDINGS)
def test_with_versions_a_new_one_is_a_change_and_what_else_the_tool_adds_is_none(name, before):
    later = replace(before, extra=before.extra | {name: "another"})
    assert change_of(before, later, compares_versions=True) is Change.CHANGED
    assert (
        change_of(before, replace(before, extra=before.extra | {"ttl": 7}), compares_versions=True) is Change.UNCHANGED
    )


def test_every_change_but_unchanged_is_listed():
    assert {Change.OPENED, Change.CLOSED, Change.CHANGED, Change.NOT_OBSERVED} == LISTED
