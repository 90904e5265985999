"""Faults on four VPSes with Nomad, Consul and Vault while a scan of over 200 chunks runs: all probed, found once.

Root, and the machine's rig (rig/README.md). The workers are dispatched; the ledger alone decides what is run again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator

import psutil
import pytest

from rig import faults, vault
from rig.kill import kill
from rig.layout import SERVERS
from rig.nomad_fleet import NomadRig
from rig.proof import CHUNK_SECONDS, assert_found_once, scan_under
from rig.waiting import until

VPSES = 4
HEALTHY_SECONDS = 120
OUTAGE_SECONDS = 60


@pytest.fixture(scope="module")
def running_fleet(new_nomad_fleet: Callable[..., NomadRig]) -> NomadRig:
    return new_nomad_fleet(VPSES, CLOUDX_CHUNK_SECONDS=CHUNK_SECONDS)


@pytest.fixture
def fleet(running_fleet: NomadRig) -> Iterator[NomadRig]:
    """All of its VPSes well, and a leader."""
    until(running_fleet.is_healthy, HEALTHY_SECONDS, running_fleet.api.nodes)
    until(running_fleet.leader, HEALTHY_SECONDS)
    yield running_fleet


def test_a_killed_nomad_client_ends_no_worker(fleet: NomadRig) -> None:
    def kill_and_start_again() -> None:
        fleet.processes.kill("cxvps2.nomad")
        time.sleep(5)
        fleet.processes.start_again("cxvps2.nomad")

    outcome = scan_under(fleet, kill_and_start_again)
    assert_found_once(fleet, outcome)


def test_a_killed_leader_of_nomad_stops_no_scan(fleet: NomadRig) -> None:
    was = fleet.leader()
    outcome = scan_under(fleet, lambda: fleet.processes.kill(f"{was}.nomad"))
    assert_found_once(fleet, outcome)
    until(lambda: fleet.leader() not in ("", was), HEALTHY_SECONDS, fleet.leader)
    fleet.processes.start_again(f"{was}.nomad")


def test_the_backend_killed_at_submit_at_dispatch_and_while_chunks_finish_loses_nothing(fleet: NomadRig) -> None:
    def backend() -> list[psutil.Process]:
        return faults.processes_of_task(list(fleet.servers), "backend")

    before = backend()  # looked for in advance: the kill comes right after the answer
    assert len(before) >= 4, "an arbiter and its workers, twice"

    def kill_now_and_when_it_dispatches(scan_id: str) -> None:
        kill(before)
        until(backend, HEALTHY_SECONDS)
        until(lambda: dispatched(fleet, scan_id), HEALTHY_SECONDS, lambda: fleet.nomad("jobs"))
        killed.append(len(backend()))
        kill(backend())

    def kill_again() -> None:
        killed.append(len(backend()))
        kill(backend())

    killed: list[int] = []
    outcome = scan_under(fleet, kill_again, at_done=200, rate_pps=900, after_submit=kill_now_and_when_it_dispatches)
    assert_found_once(fleet, outcome)
    assert len(killed) == 2 and all(killed), killed
    assert not outcome.lost_tries
    tokens = dispatched(fleet, outcome.scan_id)
    assert len(set(tokens)) == len(tokens) >= VPSES, "each worker was asked for once"


def dispatched(fleet: NomadRig, scan_id: str) -> list[str]:
    """The token of each job that Nomad was asked for, for a scan."""
    jobs = fleet.nomad("jobs?prefix=scan/dispatch-&meta=true") or []
    return [job["Meta"]["dispatch"] for job in jobs if (job["Meta"] or {}).get("scan_id") == scan_id]


def test_without_consul_and_vault_a_scan_goes_on(fleet: NomadRig) -> None:
    def both_away() -> None:
        for key in (*(f"{server}.consul" for server in SERVERS), vault.KEY):
            fleet.processes.kill(key)
        time.sleep(OUTAGE_SECONDS)
        for key in (*(f"{server}.consul" for server in SERVERS), vault.KEY):
            fleet.processes.start_again(key)
        until(vault.answers, 30)
        vault.unseal(fleet.folder)

    outcome = scan_under(fleet, both_away)
    assert_found_once(fleet, outcome)
    assert not outcome.lost_tries


def workers_by_machine(fleet: NomadRig) -> Counter[str]:
    """How many workers of scans run on each VPS."""
    running = [one for one in fleet.nomad("allocations") if one["ClientStatus"] == "running"]
    return Counter(one["NodeName"] for one in running if one["JobID"].startswith("scan/dispatch-"))


def test_each_vps_has_one_worker_and_one_that_loses_its_power_costs_its_chunks_a_second_try(fleet: NomadRig) -> None:
    def pull_the_plug() -> None:
        assert workers_by_machine(fleet) == dict.fromkeys(fleet.vpses, 1)
        faults.kill_vps("cxvps4")

    outcome = scan_under(fleet, pull_the_plug)
    assert_found_once(fleet, outcome)
    assert outcome.lost_tries["lost"] >= 1
