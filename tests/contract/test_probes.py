"""Who probed an address: every attempt that may have sent to it, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import update

from cloudx.adapters.database.schema.tables import attempts, exclusions, scans, scopes
from cloudx.domain.access import Principal, Role
from cloudx.domain.addresses import AddressSet
from cloudx.domain.chunks import LEASE_SECONDS
from cloudx.domain.errors import CloudxError, InvalidInput, LeaseLost
from cloudx.domain.scans import Scan
from cloudx.services.access.edit_policy import add_scope, delete_exclusion, delete_scope
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.finish import RunOutput, fail_chunk, keep_stopped_chunk, release_chunk
from cloudx.services.chunks.note_source import note_source
from cloudx.services.chunks.place import place_chunk
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.chunks.scanner_port import Egress, Way
from cloudx.services.chunks.split import split_stragglers
from cloudx.services.scans import find_probes
from cloudx.services.scans.control import delete_scan, stop_scan
from cloudx.services.scans.find_probes import FindProbes, Probe
from fixtures.ledgers import ADMIN, LONG_AGO, POSTGRESQL_ALONE, Desk, NameTable

BOB = Principal("bob", Role.OPERATOR)
DAY = timedelta(days=1)


def probes(desk: Desk, ip: str, at: datetime | None = None, window_seconds: int = 300) -> tuple[Probe, ...]:
    return FindProbes(desk.open_ledger, desk.policies)(ip, at, window_seconds).probes


def outcomes(desk: Desk, ip: str) -> list[str | None]:
    return [probe.attempt.sending.outcome for probe in probes(desk, ip)]


def first_of(claim: Claim) -> str:
    return str(next(iter(claim.addresses)))


def last_of(claim: Claim) -> str:
    return str(next(iter(claim.addresses.slice(claim.addresses.size - 1, 1))))


def now_of(desk: Desk) -> datetime:
    with desk.open_ledger(read_only=True) as ledger:
        return ledger.now()


def put_back(desk: Desk, scan: Scan, by: timedelta) -> None:
    """Let all of a scan have happened so much earlier."""
    with desk.engine.begin() as connection:
        for table, mine, names in (
            (attempts, attempts.c.scan_id, ("started_at", "ended_at")),
            (scans, scans.c.id, ("created_at", "started_at", "finished_at")),
        ):
            for row in connection.execute(table.select().where(mine == scan.id)).mappings().all():
                moved = {name: row[name] - by for name in names if row[name] is not None}
                key = [column == row[column.name] for column in table.primary_key.columns]
                connection.execute(update(table).where(*key).values(**moved))


def two_ways(claim: Claim) -> list[Way]:
    half = claim.addresses.size // 2
    parts = claim.addresses.slice(0, half), claim.addresses.slice(half, claim.addresses.size - half)
    return [Way(part, Egress("eth0", "192.0.2.9", f"192.0.2.{number}", "m")) for number, part in enumerate(parts, 1)]


def straggler(desk: Desk) -> tuple[Scan, Claim]:
    """A scan of which all is done but one chunk, which a slow worker has, and idle nodes beside it."""
    for number in range(2, 6):
        desk.register_asking(f"node-{number}")
    scan = desk.submit("10.0.0.0/16", rate_pps=1000)
    slow = desk.must_claim("slow")
    desk.run_to_end(scan, "quick")
    return scan, slow


def test_an_answer_tells_the_scan_the_node_the_ports_and_who_asked(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24", ports="22,80-90", by=BOB)
    claim = desk.must_claim("w1", "vps-7")
    note_source(desk.open_ledger, claim.lease, "192.0.2.7")
    desk.complete(claim)
    (probe,) = probes(desk, first_of(claim))
    attempt = probe.attempt
    assert (attempt.scan_id, attempt.tool, attempt.type_name, attempt.ports, attempt.asked_by) == (
        scan.id, "masscan", "tcp_scan", "22,80-90", "bob",
    )  # fmt: skip
    assert (attempt.node_id, attempt.source_ip, attempt.sending.outcome) == ("vps-7", "192.0.2.7", "done")
    assert probe.scope is not None and probe.scope.owner == "setup"
    assert attempt.sending.ended_at is not None
    assert now_of(desk) >= attempt.sending.ended_at >= attempt.sending.started_at > now_of(desk) - timedelta(minutes=1)


@pytest.mark.parametrize("spelling", ["10.0.0.5", "::ffff:10.0.0.5", "::FFFF:a00:5", " 10.0.0.5 "])
def test_every_spelling_of_an_address_finds_its_probes(desk: Desk, spelling: str) -> None:
    desk.run_to_end(desk.submit("10.0.0.5"))
    answer = FindProbes(desk.open_ledger, desk.policies)(spelling)
    assert (answer.ip, len(answer.probes)) == ("10.0.0.5", 1)


def test_an_ipv6_address_has_its_own_probes(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/30", "fd77::/126", tool="nmap")
    desk.run_to_end(scan)
    (probe,) = probes(desk, "FD77:0::2")
    assert probe.attempt.scan_id == scan.id
    assert probes(desk, "fd77::4") == ()


def test_each_address_of_a_scan_has_one_attempt_where_all_went_well_and_no_other_has_any(desk: Desk) -> None:
    scan = desk.submit("10.0.0.1-10", "10.0.0.50", "10.0.3.0/24", rate_pps=10)
    claims = desk.run_to_end(scan)
    assert len(claims) > 1
    for claim in claims:
        for ip in (first_of(claim), last_of(claim)):
            (probe,) = probes(desk, ip)
            assert probe.attempt.scan_id == scan.id
    for neighbour in ("10.0.0.0", "10.0.0.11", "10.0.0.49", "10.0.0.51", "10.0.2.255", "10.0.4.0", "0.0.0.0", "::1"):
        assert probes(desk, neighbour) == (), neighbour


def test_ports_are_those_of_the_attempt_and_of_a_scan_without_any_there_are_none(desk: Desk) -> None:
    desk.submit("10.0.0.1", ports="1-60000", rate_pps=1000)
    while claim := desk.claim():
        desk.complete(claim)
    shown = [probe.attempt.ports for probe in probes(desk, "10.0.0.1")]
    ranges = sorted(tuple(map(int, str(ports).split("-"))) for ports in shown)
    assert len(ranges) > 1 and (ranges[0][0], ranges[-1][-1]) == (1, 60000)
    assert all(low == high + 1 for (_, high), (low, _) in pairwise(ranges))
    for target, settings, ports in (
        ("10.1.0.1", {"scan_type": "ping_scan", "ports": None}, None),
        ("10.1.0.2", {"scan_type": "udp_scan", "ports": "53,161"}, "53,161"),
        ("10.1.0.3", {"tool": "zmap", "scan_type": "icmp_echo", "ports": None}, None),
        ("10.1.0.4", {"tool": "nmap"}, None),
        ("10.1.0.5", {"tool": "nmap", "ports": "T:80,U:53"}, "T:80,U:53"),
    ):
        desk.run_to_end(desk.submit(target, **settings))
        assert [probe.attempt.ports for probe in probes(desk, target)] == [ports], settings


def test_a_running_attempt_is_listed_and_has_no_end(desk: Desk) -> None:
    desk.submit("10.0.0.0/24")
    (probe,) = probes(desk, first_of(desk.must_claim()))
    assert (probe.attempt.sending.outcome, probe.attempt.sending.ended_at) == (None, None)


def test_a_chunk_that_waits_for_a_worker_was_not_probed(desk: Desk) -> None:
    desk.submit("10.0.0.0/24")
    assert probes(desk, "10.0.0.1") == ()


def test_failed_released_and_lost_attempts_are_listed_beside_the_one_that_went_well(desk: Desk) -> None:
    scan = desk.submit("10.0.0.1")
    fail_chunk(desk.open_ledger, desk.must_claim("w1"), "broke")
    desk.end_back_off(scan)
    release_chunk(desk.open_ledger, desk.must_claim("w2"))
    lost = desk.must_claim("w3")
    note_source(desk.open_ledger, lost.lease, "192.0.2.3")
    desk.expire(lost)
    assert reconcile_scans(desk.open_ledger) == 1
    desk.run_to_end(scan, "w4")
    found = probes(desk, "10.0.0.1")
    assert [(probe.attempt.node_id, probe.attempt.sending.outcome) for probe in found] == [
        ("node-of-w1", "failed"), ("node-of-w2", "released"), ("node-of-w3", "lost"), ("node-of-w4", "done"),
    ]  # fmt: skip
    assert [probe.attempt.source_ip for probe in found] == [None, None, "192.0.2.3", None]


@pytest.mark.parametrize("keeps_results", [True, False])
def test_the_attempts_of_a_stopped_scan_are_listed(desk: Desk, keeps_results: bool) -> None:
    scan = desk.submit("10.0.0.1")
    claim = desk.must_claim()
    stop_scan(desk.open_ledger, scan.id, ADMIN)
    if keeps_results:
        keep_stopped_chunk(desk.open_ledger, claim, RunOutput(), 0.5)
    else:
        desk.expire(claim)
        reconcile_scans(desk.open_ledger)
    assert outcomes(desk, "10.0.0.1") == ["stopped" if keeps_results else "lost"]


def test_an_attempt_whose_chunk_was_cut_keeps_what_it_covered(desk: Desk) -> None:
    scan, slow = straggler(desk)
    first, last = first_of(slow), last_of(slow)
    desk.age(slow, held_seconds=30, sent_share=0.2)
    assert split_stragglers(desk.open_ledger) == 1
    assert outcomes(desk, first) == outcomes(desk, last) == ["recut"]
    again = desk.must_claim("slow")
    desk.run_to_end(scan, "quick")
    for ip in (first, last):
        is_again = ip in (first_of(again), last_of(again))
        assert outcomes(desk, ip) == ["recut", None if is_again else "done"], ip


def test_a_part_of_a_cut_chunk_that_is_cut_again_has_both_attempts(desk: Desk) -> None:
    _, slow = straggler(desk)
    desk.age(slow, held_seconds=300, sent_share=0.01)
    assert split_stragglers(desk.open_ledger) == 1
    part = desk.must_claim("slow")
    place_chunk(desk.open_ledger, part, two_ways(part))
    assert outcomes(desk, first_of(part)) == outcomes(desk, last_of(part)) == ["recut", "recut"]


def test_a_chunk_cut_after_its_worker_was_lost_keeps_what_the_lost_one_covered(desk: Desk) -> None:
    scan, lost = straggler(desk)
    desk.expire(lost)
    assert reconcile_scans(desk.open_ledger) == 1
    assert desk.show(scan).tally.chunks_pending > 1
    desk.run_to_end(scan, "quick")
    for ip in (first_of(lost), last_of(lost)):
        assert outcomes(desk, ip) == ["lost", "done"]


def test_a_chunk_that_went_back_in_parts_by_its_ways_is_listed_in_doubt(desk: Desk) -> None:
    desk.submit("10.0.0.0/24", rate_pps=100)
    claim = desk.must_claim()
    place_chunk(desk.open_ledger, claim, two_ways(claim))
    assert outcomes(desk, first_of(claim)) == outcomes(desk, last_of(claim)) == ["recut"]


def test_a_node_that_cannot_send_there_did_not(desk: Desk) -> None:
    scan = desk.submit("10.0.0.1")
    claim = desk.must_claim("w1", "elsewhere")
    place_chunk(desk.open_ledger, claim, [Way(claim.addresses, why_not="no route")])
    assert outcomes(desk, "10.0.0.1") == []
    desk.run_to_end(scan, "w2")
    assert outcomes(desk, "10.0.0.1") == ["done"]


def test_what_a_claim_left_out_for_an_exclusion_was_not_probed_and_its_neighbour_was(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/30")
    desk.exclude("10.0.0.2")
    desk.run_to_end(scan)
    assert outcomes(desk, "10.0.0.2") == []
    assert outcomes(desk, "10.0.0.1") == ["done"]


def test_what_is_excluded_while_it_is_probed_or_after_stays_listed(desk: Desk) -> None:
    desk.submit("10.0.0.1")
    claim = desk.must_claim()
    desk.exclude("10.0.0.1")
    assert outcomes(desk, "10.0.0.1") == [None]
    release_chunk(desk.open_ledger, claim)
    assert outcomes(desk, "10.0.0.1") == ["released"]
    desk.run_to_end(claim.scan, "w2")
    assert outcomes(desk, "10.0.0.1") == ["released"], "the second claim left it out"


def test_what_an_exclusion_left_out_is_in_doubt_once_the_exclusion_is_removed(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/30")
    exclusion = desk.exclude("10.0.0.2")
    desk.run_to_end(scan)
    delete_exclusion(desk.open_ledger, ADMIN, exclusion)
    assert outcomes(desk, "10.0.0.2") == ["done"]


@pytest.mark.parametrize("unknown", ["exclusion", "attempt"])
def test_what_the_ledger_does_not_know_to_be_left_out_is_listed(desk: Desk, unknown: str) -> None:
    scan = desk.submit("10.0.0.0/30")
    desk.exclude("10.0.0.2")
    desk.run_to_end(scan)
    with desk.engine.begin() as connection:
        connection.execute(update(exclusions if unknown == "exclusion" else attempts).values(policy_version=None))
    desk.policies = type(desk.policies)()
    assert outcomes(desk, "10.0.0.2") == ["done"]


def test_a_target_that_was_given_by_an_excluded_name_was_left_out(open_desk: Desk) -> None:
    scan = open_desk.submit("a.test")
    open_desk.exclude("a.test")
    open_desk.resolver.move(a_test="10.0.0.9")
    open_desk.run_to_end(scan)
    assert outcomes(open_desk, "10.0.0.8") == []


@pytest.fixture
def open_desk(desk: Desk) -> Desk:
    """A ledger with a resolver that knows one name."""
    return Desk(desk.open_ledger, desk.engine, NameTable(a_test="10.0.0.8"))


def test_only_what_went_on_in_the_window_is_listed(desk: Desk) -> None:
    scan = desk.submit("10.0.0.1")
    desk.run_to_end(scan)
    put_back(desk, scan, DAY)
    sending = probes(desk, "10.0.0.1", now_of(desk) - DAY)[0].attempt.sending
    assert sending.ended_at is not None
    assert probes(desk, "10.0.0.1") == ()
    second = timedelta(seconds=1)
    start, end = sending.started_at, sending.ended_at
    for at, count in ((start, 1), (start - second, 0), (end, 1), (end + second, 0)):
        assert len(probes(desk, "10.0.0.1", at, 0)) == count, at
    assert len(probes(desk, "10.0.0.1", sending.started_at - 10 * second, 10)) == 1
    assert len(probes(desk, "10.0.0.1", sending.ended_at + 10 * second, 9)) == 0


def test_a_long_attempt_is_found_at_any_moment_of_it(desk: Desk) -> None:
    scan = desk.submit("10.0.0.1")
    claim = desk.must_claim()
    desk.age(claim, held_seconds=7200, sent_share=0.5)
    with desk.engine.begin() as connection:
        connection.execute(update(scans).values(started_at=now_of(desk) - timedelta(hours=3)))
    desk.complete(claim)
    an_hour_ago = now_of(desk) - timedelta(hours=1)
    (probe,) = probes(desk, "10.0.0.1", an_hour_ago, 0)
    assert probe.attempt.scan_id == scan.id


@pytest.mark.parametrize(("outcome", "seconds"), [("lost", LEASE_SECONDS), ("recut", LEASE_SECONDS), ("done", 0.0)])
def test_a_worker_that_the_ledger_gave_up_may_have_sent_until_it_heard_of_it(
    desk: Desk, outcome: str, seconds: float
) -> None:
    scan = desk.submit("10.0.0.1")
    desk.run_to_end(scan)
    with desk.engine.begin() as connection:
        connection.execute(update(attempts).values(outcome=outcome))
    ended_at = probes(desk, "10.0.0.1")[0].attempt.sending.ended_at
    assert ended_at is not None
    told = timedelta(seconds=seconds)
    assert len(probes(desk, "10.0.0.1", ended_at + told, 0)) == 1
    assert len(probes(desk, "10.0.0.1", ended_at + told + timedelta(milliseconds=10), 0)) == 0


def test_of_several_scans_each_attempt_stands_once_in_order_of_start(desk: Desk) -> None:
    ids = []
    for number in range(120):  # more than are looked up at once
        scan = desk.submit("10.0.0.0/30", "10.9.0.1", rate_pps=1000, by=BOB if number % 2 else ADMIN)
        desk.run_to_end(scan, f"w{number % 3}")
        ids.append(scan.id)
    desk.run_to_end(desk.submit("10.0.0.4/30"))
    found = probes(desk, "10.0.0.3")
    assert [probe.attempt.scan_id for probe in found] == ids
    starts = [probe.attempt.sending.started_at for probe in found]
    assert starts == sorted(starts)


def test_deleted_scans_are_not_known_any_more(desk: Desk) -> None:
    scan = desk.submit("10.0.0.1")
    desk.run_to_end(scan)
    delete_scan(desk.open_ledger, scan.id, ADMIN)
    assert probes(desk, "10.0.0.1") == ()


def allow(desk: Desk, *targets: str, owner: str) -> str:
    return add_scope(desk.open_ledger, ADMIN, targets=targets, owner=owner, note=f"{owner}'s", expires_at=None).id


def owners(desk: Desk, ip: str) -> list[str | None]:
    return [probe.scope.owner if probe.scope else None for probe in probes(desk, ip)]


def test_the_scope_is_the_narrowest_that_allowed_the_address_then(desk: Desk) -> None:
    allow(desk, "203.0.113.0/24", "198.51.100.0/24", owner="wide")
    allow(desk, "203.0.113.0/28", owner="narrow")
    desk.run_to_end(desk.submit("203.0.113.5", "203.0.113.99"))
    allow(desk, "203.0.113.5", owner="later")
    assert owners(desk, "203.0.113.5") == ["narrow"]
    assert owners(desk, "203.0.113.99") == ["wide"]


def test_a_scope_that_was_removed_since_is_still_told(desk: Desk) -> None:
    removed = allow(desk, "203.0.113.0/24", owner="gone")
    desk.run_to_end(desk.submit("203.0.113.5"))
    delete_scope(desk.open_ledger, ADMIN, removed)
    (probe,) = probes(desk, "203.0.113.5")
    assert probe.scope is not None
    assert (probe.scope.id, probe.scope.owner, probe.scope.note) == (removed, "gone", "gone's")
    with desk.open_ledger(read_only=True) as ledger:
        assert removed not in {scope.id for scope in ledger.policies.scopes()}
    with pytest.raises(CloudxError, match="in no scope"):
        desk.submit("203.0.113.5")


def test_a_scope_that_ended_before_an_attempt_did_not_allow_it(desk: Desk) -> None:
    removed = allow(desk, "10.0.0.0/30", owner="gone")
    expired = allow(desk, "10.0.0.0/29", owner="expired")
    delete_scope(desk.open_ledger, ADMIN, removed)
    with desk.engine.begin() as connection:
        connection.execute(update(scopes).where(scopes.c.id == expired).values(expires_at=now_of(desk)))
    desk.run_to_end(desk.submit("10.0.0.1"))
    assert owners(desk, "10.0.0.1") == ["setup"]


def test_where_no_scope_is_known_there_is_none(desk: Desk) -> None:
    scan = desk.submit("10.0.0.1")
    desk.run_to_end(scan)
    with desk.engine.begin() as connection:
        connection.execute(scopes.delete())
    desk.policies = type(desk.policies)()
    assert owners(desk, "10.0.0.1") == [None]


def test_a_scope_by_name_allowed_the_address_that_was_asked_by_it(open_desk: Desk) -> None:
    allow(open_desk, "b.test", owner="by name")
    open_desk.resolver.move(b_test="203.0.113.8")
    open_desk.run_to_end(open_desk.submit("b.test"))
    assert owners(open_desk, "203.0.113.8") == ["by name"]


def test_what_a_source_was_first_stays_and_a_lost_lease_notes_none(desk: Desk) -> None:
    desk.submit("10.0.0.1")
    claim = desk.must_claim()
    note_source(desk.open_ledger, claim.lease, "192.0.2.1")
    note_source(desk.open_ledger, claim.lease, "192.0.2.2")
    with pytest.raises(LeaseLost):
        note_source(desk.open_ledger, desk.as_attempt(claim, 2).lease, "192.0.2.3")
    desk.expire(claim)
    reconcile_scans(desk.open_ledger)
    with pytest.raises(LeaseLost):
        note_source(desk.open_ledger, claim.lease, "192.0.2.4")
    assert [probe.attempt.source_ip for probe in probes(desk, "10.0.0.1")] == ["192.0.2.1"]


def test_an_ipv6_source_is_kept(desk: Desk) -> None:
    desk.submit("fd77::1", tool="nmap")
    note_source(desk.open_ledger, desk.must_claim().lease, "fd78::2")
    assert [probe.attempt.source_ip for probe in probes(desk, "fd77::1")] == ["fd78::2"]


@POSTGRESQL_ALONE
@pytest.mark.parametrize("source", ["10.0.0.0/8", "fd00::/64", "not one", "", None, "10.0.0.1; DROP TABLE attempts"])
def test_a_source_is_the_address_of_one_machine(desk: Desk, source: str) -> None:
    desk.submit("10.0.0.1")
    claim = desk.must_claim()
    with pytest.raises(Exception, match=r"address of one machine|invalid input syntax"):
        note_source(desk.open_ledger, claim.lease, source)
    assert [probe.attempt.source_ip for probe in probes(desk, "10.0.0.1")] == [None]


@pytest.mark.parametrize("ip", ["", "10.0.0.0/24", "10.0.0", "10.0.0.1-2", "a.test", "fe80::1%eth0", "010.0.0.1", "-1"])
def test_what_is_no_address_is_refused_by_its_field(desk: Desk, ip: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        probes(desk, ip)
    assert refused.value.field == "ip"


@pytest.mark.parametrize("seconds", [-1, 86_401, 10**12])
def test_a_window_is_bounded(desk: Desk, seconds: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        probes(desk, "10.0.0.1", None, seconds)
    assert refused.value.field == "window"


def test_more_attempts_than_an_answer_holds_are_refused_and_never_cut_short(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        desk.run_to_end(desk.submit("10.0.0.1"), f"w{number}")
    monkeypatch.setattr(find_probes, "MAX_PROBES", 4)
    assert len(probes(desk, "10.0.0.1")) == 4
    monkeypatch.setattr(find_probes, "MAX_PROBES", 3)
    with pytest.raises(InvalidInput, match="Ask for a shorter one") as refused:
        probes(desk, "10.0.0.1")
    assert refused.value.field == "window"


def test_the_same_addresses_are_found_however_large_the_scan_and_however_its_targets_lie(desk: Desk) -> None:
    scan = desk.submit(*(f"10.{second}.{third}.0/30" for second in range(4) for third in range(200)), rate_pps=5)
    claims = desk.run_to_end(scan)
    assert len(claims) > 20
    covered = AddressSet.of(part for claim in claims for part in claim.addresses.ranges)
    assert covered == scan.addresses
    for claim in _some(claims):
        for ip in (first_of(claim), last_of(claim)):
            (probe,) = probes(desk, ip)
            assert probe.attempt.sending.outcome == "done"


def test_a_scan_that_an_older_version_planned_is_searched_whole(desk: Desk) -> None:
    claims = desk.run_to_end(desk.submit("10.0.0.0/24", rate_pps=2))
    with desk.engine.begin() as connection:
        connection.execute(update(scans).values(widest_chunk=0))
    assert len(claims) > 2
    for claim in claims:
        assert outcomes(desk, first_of(claim)) == outcomes(desk, last_of(claim)) == ["done"]


def _some(claims: Iterable[Claim]) -> list[Claim]:
    return list(claims)[::7]


def test_a_time_before_any_scan_finds_nothing(desk: Desk) -> None:
    desk.run_to_end(desk.submit("10.0.0.1"))
    assert probes(desk, "10.0.0.1", LONG_AGO) == ()
