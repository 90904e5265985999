"""Faults on a resident fleet of four VPSes while a scan of over 200 chunks runs: everything probed, each finding once.

Root, and the machine's rig (rig/README.md). The counter at the target says how many probes each fault repeated, and the
lost chunks bound it: what was sent twice was in a chunk whose first try was lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from rig import faults
from rig.postgres import KEY as POSTGRES
from rig.proof import (
    CHUNK_SECONDS,
    PORTS,
    TARGET,
    assert_complete,
    assert_found_once,
    scan_under,
)
from rig.resident import ResidentRig, worker_key
from rig.target import open_ports
from rig.waiting import until

VPSES = 4
CUT_OFF_SECONDS = 60.0  # five leases

Fleet = ResidentRig


@pytest.fixture(scope="module")
def running_fleet(new_resident_fleet: Callable[..., Fleet]) -> Fleet:
    """Chunks of half a second, so that a short scan has many."""
    return new_resident_fleet(VPSES, CLOUDX_CHUNK_SECONDS=CHUNK_SECONDS)


@pytest.fixture
def fleet(running_fleet: Fleet) -> Iterator[Fleet]:
    """All of its VPSes well, before and after."""
    until(running_fleet.is_healthy, 60, running_fleet.api.nodes)
    yield running_fleet
    for machine in running_fleet.vpses:
        faults.heal(machine)
        faults.free_disk(machine)
        faults.revive_vps(running_fleet.processes, machine)


def test_killed_scanners_cost_their_chunks_a_second_try(fleet: Fleet) -> None:
    killed: list[int] = []

    def kill() -> None:
        def try_once() -> int:
            killed.append(faults.kill_scanners("cxvps1"))
            return killed[-1]

        until(try_once, 10)

    outcome = scan_under(fleet, kill)
    assert_found_once(fleet, outcome)
    assert 1 <= outcome.lost_tries.total() <= killed[-1]


def test_a_killed_worker_loses_nothing_but_time(fleet: Fleet) -> None:
    def kill_and_start_again() -> None:
        assert faults.kill_workers("cxvps2") == 1
        fleet.processes.start_again(worker_key("cxvps2"))  # as Docker, systemd or Nomad would

    outcome = scan_under(fleet, kill_and_start_again)
    assert_found_once(fleet, outcome)
    assert outcome.lost_tries["lost"] >= 1


def test_a_vps_cut_off_for_a_minute_comes_back_is_refused_its_late_commits_and_works_on(fleet: Fleet) -> None:
    log = fleet.processes.log_of(worker_key("cxvps3"))
    said_before = len(log.read_text())

    def cut_off_for_a_minute() -> None:
        faults.cut_off("cxvps3")
        time.sleep(CUT_OFF_SECONDS)
        faults.heal("cxvps3")

    outcome = scan_under(fleet, cut_off_for_a_minute, rate_pps=450)  # slowly: the scan outlasts the partition
    assert_found_once(fleet, outcome)
    tries = [one for chunk in outcome.coverage["chunks"] for one in chunk["attempts"] if one["node_id"] == "cxvps3"]
    lost = [one for one in tries if one["outcome"] == "lost"]
    assert lost
    # It had finished chunks in its hands and tried to commit them, each once: the fence said no.
    until(lambda: "chunk.lost" in log.read_text()[said_before:], 40, lambda: log.read_text()[-3000:])
    assert log.read_text()[said_before:].count("chunk.lost") <= len(lost)
    assert_found_once(fleet, outcome)
    # And afterwards it did its share again.
    last_lost_at = max(one["ended_at"] for one in lost)
    assert [one for one in tries if one["outcome"] == "done" and one["started_at"] > last_lost_at]


def test_one_vps_of_four_finishes_what_the_others_leave(fleet: Fleet) -> None:
    def pull_three_plugs() -> None:
        for machine in fleet.vpses[1:]:
            faults.kill_vps(machine)

    outcome = scan_under(fleet, pull_three_plugs, at_done=150)
    assert_found_once(fleet, outcome)
    assert outcome.lost_tries["lost"] >= 1
    last = outcome.coverage["chunks"]
    assert max(last, key=lambda chunk: chunk["attempts"][-1]["ended_at"])["node_id"] == "cxvps1"


def test_a_restart_of_postgresql_loses_no_result(fleet: Fleet) -> None:
    def restart() -> None:
        fleet.processes.stop(POSTGRES)
        time.sleep(4)
        fleet.processes.start_again(POSTGRES)

    assert_found_once(fleet, scan_under(fleet, restart))


def test_a_slow_lossy_network_costs_findings_but_no_account_of_them(fleet: Fleet) -> None:
    """masscan sends each probe once, so a lost probe is a lost finding; a lost answer is not, for targets repeat it."""
    faults.slow_down(fleet.processes, delay_ms=100, loss_percent=2)
    try:
        outcome = scan_under(fleet, lambda: None)
    finally:
        faults.speed_up(fleet.processes)
    assert_complete(outcome)
    assert outcome.probes.repeated == 0
    found, known = fleet.api.findings(outcome.scan_id), open_ports(TARGET, PORTS)
    assert set(found.values()) == {1}
    assert set(found) <= known
    print(f"found {len(found)} of {len(known)}: {len(found) / len(known):.1%}; 2 % of the probes were lost")
    assert 0.97 <= len(found) / len(known) <= 0.99


def test_a_vps_with_a_full_disk_fails_no_scan(fleet: Fleet) -> None:
    outcome = scan_under(fleet, lambda: faults.fill_disk("cxvps4"))
    assert_found_once(fleet, outcome)
    # It was noticed: by a chunk that failed there and was run elsewhere, or by the VPS itself.
    assert outcome.lost_tries["failed"] or fleet.api.nodes()["cxvps4"] != "healthy"


def test_a_clock_that_is_ten_minutes_ahead_takes_its_vps_out_and_the_others_finish(fleet: Fleet) -> None:
    """What it found would seem to come from the future; leases go by the database's clock alone."""
    faults.set_clock_ahead(fleet.processes, worker_key("cxvps1"), 600)
    try:
        until(lambda: fleet.api.nodes()["cxvps1"] == "critical", 60, fleet.api.nodes)
        outcome = scan_under(fleet, lambda: None, rate_pps=900)  # three VPSes: as many chunks as four make otherwise
    finally:
        faults.set_clock_ahead(fleet.processes, worker_key("cxvps1"), 0)
    assert_found_once(fleet, outcome)
    assert not outcome.lost_tries
    assert {chunk["node_id"] for chunk in outcome.coverage["chunks"]} == set(fleet.vpses) - {"cxvps1"}
