"""Caps by prefix as the ledger holds them: whoever claims, no prefix is granted more, and everything gets done."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select, update

from cloudx.adapters.database.schema.tables import chunks
from cloudx.domain.errors import InvalidInput
from cloudx.domain.rates.prefix_caps import PrefixCaps, densest
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.services.chunks.place import place_chunk
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.chunks.scanner_port import Way
from cloudx.services.ledger.records import ClaimRequest, Refusal
from fixtures.ledgers import LONG_AGO, POSTGRESQL_ALONE, Desk

EIGHT = [f"w{number}" for number in range(8)]


def leased(desk: Desk, scan: Scan) -> list[tuple[int, float]]:
    """(zone, part of it in use) of each leased chunk."""
    columns = chunks.c.zone, chunks.c.rate_pps, chunks.c.zone_limit_pps
    query = select(*columns).where(chunks.c.scan_id == scan.id, chunks.c.state == "leased")
    with desk.engine.connect() as connection:
        return [(zone, rate / limit) for zone, rate, limit in connection.execute(query)]


def parts(desk: Desk, scan: Scan) -> Counter[int]:
    used: Counter[int] = Counter()
    for zone, part in leased(desk, scan):
        used[zone] += part  # type: ignore[assignment]
    return used


def test_one_prefix_is_sent_to_by_one_worker_at_a_time_just_below_the_cap(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24", ports="1-100", rate_pps=10_000, rate_per_prefix={"24": 200})
    claims = [claim for worker in EIGHT if (claim := desk.claim(worker)) is not None]
    assert [claim.lease.rate_pps for claim in claims] == [175]
    desk.complete(claims[0])
    assert desk.must_claim("w5").lease.rate_pps == 175
    assert max(parts(desk, scan).values()) <= 1


@POSTGRESQL_ALONE
def test_a_claim_that_does_not_add_up_the_caps_gets_no_chunk_with_one(desk: Desk) -> None:
    """A stolen worker's login may call any claim; on SQLite there is no such login."""
    scan = desk.submit("10.0.0.0/24", ports="1-100", rate_pps=10_000, rate_per_prefix={"24": 200})
    with desk.open_ledger() as ledger:
        answer = ledger.claims.claim(ClaimRequest(scan.id, "w", "n", 10_000, 10_000, has_prefix_caps=False))
    assert answer is Refusal.NO_CHUNK


def test_the_cap_holds_until_the_chunk_is_settled_and_not_only_while_it_sends(desk: Desk) -> None:
    desk.submit("10.0.0.0/24", ports="1-100", rate_pps=10_000, rate_per_prefix={"24": 200})
    claim = desk.must_claim("w0")
    desk.renew(claim, sent_share=1.0, sending=False)  # late replies are awaited
    assert desk.claim("w1") is None
    desk.complete(claim)
    assert desk.claim("w1") is not None


def test_many_prefixes_take_the_whole_rate_of_eight_workers(desk: Desk) -> None:
    for worker in EIGHT:
        desk.register_asking(f"node-of-{worker}", rate_limit_pps=2_000)
    scan = desk.submit("10.0.0.0/16", rate_pps=8_000, rate_per_prefix={"24": 200})
    granted = sum(desk.must_claim(worker).lease.rate_pps for worker in EIGHT)
    assert granted >= 0.9 * 8_000
    assert max(parts(desk, scan).values()) <= 1 + 1e-9


def test_several_caps_hold_at_once(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/15", rate_pps=100_000, rate_per_prefix={"24": 200, "16": 1_000})
    claims = [claim for _ in range(3) for worker in EIGHT if (claim := desk.claim(worker)) is not None]
    assert claims
    for length, cap_pps in scan.rate_per_prefix.caps:
        sent: Counter[int] = Counter()
        for claim in claims:
            bits = 32 - length
            for prefix in {key >> bits for first, last in claim.addresses.ranges for key in (first, last)}:
                sent[prefix] += claim.lease.rate_pps * densest(claim.addresses, length) / claim.addresses.size  # type: ignore[assignment]
        assert max(sent.values()) <= cap_pps


def test_of_ipv6_a_prefix_of_64_bits_is_capped_alike(desk: Desk) -> None:
    desk.submit("fd00::/120", tool="nmap", rate_per_prefix={"64": 50})
    assert [claim.lease.rate_pps for worker in EIGHT if (claim := desk.claim(worker))] == [43]


def test_nmap_goes_at_the_cap_although_no_rate_was_asked(desk: Desk) -> None:
    desk.submit("10.0.0.0/24", tool="nmap", rate_per_prefix={"24": 200})
    assert [claim.lease.rate_pps for worker in EIGHT if (claim := desk.claim(worker))] == [175]


def test_workers_that_claim_at_once_never_use_more_than_a_zone_has(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/21", ports="1-40", rate_pps=100_000, rate_per_prefix={"24": 200})

    def work(number: int) -> float:
        worst = 0.0
        for _ in range(6):
            claim = desk.claim(f"w{number}")
            worst = max([worst, *parts(desk, scan).values()])
            if claim is not None:
                desk.complete(claim)
        return worst

    with ThreadPoolExecutor(6) as pool:
        assert max(pool.map(work, range(6))) <= 1 + 1e-9


def test_a_capped_scan_is_completed_whole(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/23", ports="1-8", rate_pps=2_000, rate_per_prefix={"24": 150, "28": 60})
    while (claim := desk.claim("w1")) is not None:
        desk.complete(claim)
    view = desk.show(scan)
    assert view.scan.status is ScanStatus.COMPLETED and view.coverage.completed == scan.planned_units


def test_a_lost_workers_zone_is_free_again(desk: Desk) -> None:
    desk.submit("10.0.0.0/24", ports="1-100", rate_pps=10_000, rate_per_prefix={"24": 200})
    desk.must_claim("w0")
    with desk.engine.begin() as connection:
        connection.execute(update(chunks).where(chunks.c.state == "leased").values(lease_until=LONG_AGO))
    reconcile_scans(desk.open_ledger)
    assert desk.must_claim("w1").lease.rate_pps == 175


def test_the_parts_of_a_cut_chunk_keep_its_zone_and_go_no_faster_than_their_size_allows(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/22", rate_pps=100_000, rate_per_prefix={"24": 200})
    claim = desk.must_claim("w0")
    half = claim.addresses.size // 2
    ways = [Way(claim.addresses.slice(0, half)), Way(claim.addresses.slice(half, claim.addresses.size - half))]
    assert place_chunk(desk.open_ledger, claim, ways) is None
    caps = PrefixCaps.parse({"24": 200})
    for row in desk.chunk_rows(scan):
        covered = scan.addresses.slice(row["address_start"], row["address_count"])
        limit = caps.limit_pps(covered, in_groups=False)
        assert row["zone"] is not None and limit is not None and 1 <= row["zone_limit_pps"] <= limit


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"tool": "nmap", "scan_type": "intense"}, "takes no rate_per_prefix"),
        ({"rate_per_prefix": {"64": 10}}, "up to 32 bits"),
        ({"rate_per_prefix": {"24": 0}}, "cap of /24"),
    ],
)
def test_caps_that_cannot_be_held_are_refused(desk: Desk, more: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        desk.submit("10.0.0.0/24", **({"rate_per_prefix": {"24": 10}} | more))
