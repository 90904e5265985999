"""Rate grants: never more than the limits, never nothing when nothing is granted."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.rates.grants import grant_pps, share_pps, unasked_share_pps


@dataclass(frozen=True)
class Demand:
    """A claim in a fleet, in packets per second and counts at this moment."""

    runs_per_node: int
    scan_rate_pps: int
    scan_granted_pps: int
    node_limit_pps: int
    node_granted_pps: int
    workers: int
    chunks_open: int

    def granted(self) -> int:
        share = share_pps(self.runs_per_node, self.scan_rate_pps, self.workers, self.chunks_open)
        scan_free, node_free = self.scan_rate_pps - self.scan_granted_pps, self.node_limit_pps - self.node_granted_pps
        return grant_pps(share, self.node_limit_pps, scan_free, node_free)


RATES = st.integers(1, 10_000_000)
DEMANDS = st.builds(
    Demand,
    runs_per_node=st.integers(1, 4),
    scan_rate_pps=RATES,
    scan_granted_pps=st.just(0),
    node_limit_pps=RATES,
    node_granted_pps=st.just(0),
    workers=st.integers(1, 200),
    chunks_open=st.integers(0, 100_000),
)


@given(DEMANDS)
def test_where_nothing_is_granted_something_is(demand: Demand) -> None:
    assert 0 < demand.granted() <= min(demand.scan_rate_pps, demand.node_limit_pps)


@given(DEMANDS, st.integers(0, 10_000_000), st.integers(0, 10_000_000))
def test_one_grant_never_passes_what_is_left_of_either_limit(demand: Demand, scan_pps: int, node_pps: int) -> None:
    demand = replace(demand, scan_granted_pps=scan_pps, node_granted_pps=node_pps)
    grant = demand.granted()
    assert grant >= 0
    if grant:
        assert scan_pps + grant <= demand.scan_rate_pps
        assert node_pps + grant <= demand.node_limit_pps


@given(
    st.integers(1, 4), RATES, st.lists(RATES, min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 99)), max_size=60),
)  # fmt: skip
def test_no_sequence_of_claims_and_ends_passes_a_limit(
    runs_per_node: int, scan_rate_pps: int, node_limits_pps: list[int], steps: list[tuple[int, bool, int]]
) -> None:
    held: list[tuple[int, int]] = []  # (node, rate)
    for number, ends, which in steps:
        if ends and held:
            held.pop(which % len(held))
            continue
        node = number % len(node_limits_pps)
        granted = Demand(
            runs_per_node=runs_per_node,
            scan_rate_pps=scan_rate_pps,
            scan_granted_pps=sum(rate for _, rate in held),
            node_limit_pps=node_limits_pps[node],
            node_granted_pps=sum(rate for holder, rate in held if holder == node),
            workers=len({holder for holder, _ in held} | {node}),
            chunks_open=100,
        ).granted()
        if granted:
            held.append((node, granted))
        else:
            assert held, "nothing was granted while nobody sent"
        assert sum(rate for _, rate in held) <= scan_rate_pps
        for number, limit in enumerate(node_limits_pps):
            assert sum(rate for other, rate in held if other == number) <= limit


def test_a_sliver_is_not_granted_since_its_chunk_would_last_for_minutes() -> None:
    demand = Demand(1, 1000, 900, 10_000, 0, workers=2, chunks_open=50)
    assert demand.granted() == 0
    assert replace(demand, scan_granted_pps=600).granted() == 400
    assert replace(demand, scan_granted_pps=500).granted() == 500


def test_the_last_chunk_gets_the_whole_rate() -> None:
    assert Demand(1, 1000, 0, 10_000, 0, workers=8, chunks_open=1).granted() == 1000


def test_a_scan_asked_faster_than_its_only_node_may_send_still_runs() -> None:
    assert Demand(1, 1_000_000, 0, 100_000, 0, workers=1, chunks_open=9).granted() == 100_000


@given(RATES, st.integers(1, 4), st.integers(1, 60))
def test_a_scan_without_a_rate_always_leaves_as_much_as_it_takes_or_waits(limit: int, runs: int, claims: int) -> None:
    free = limit
    for _ in range(claims):
        share = unasked_share_pps(limit, free, runs)
        assert 0 <= share <= limit // (runs + 1) or limit <= runs
        assert share <= free
        assert free - share >= share - 1
        free -= share
    assert limit == free or limit - free >= limit // (runs + 1), "the first run waits for nobody"


def test_runs_of_one_scan_without_a_rate_get_equal_shares_and_leave_one_for_another() -> None:
    free, shares = 100_000, []
    for _ in range(4):
        shares.append(unasked_share_pps(100_000, free, 4))
        free -= shares[-1]
    assert shares == [20_000] * 4
    assert free == 20_000
    assert unasked_share_pps(100_000, 100_000, 1) == 50_000
    assert unasked_share_pps(100_000, 1_000, 1) == 0, "a sliver"
