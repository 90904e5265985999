"""A scan during which something breaks, and the proof afterwards: everything probed, each finding once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .capture import Probes
from .rig import Rig
from .target import open_ports
from .waiting import until

TARGET = "10.77.0.0/20"
PORTS = (7, 9, 22, 80, 443, 8080, 8081, 50123)
PROBES = 4096 * len(PORTS)
RATE_PPS = 1_250
CHUNK_SECONDS = "0.5"  # a fleet of four with this CLOUDX_CHUNK_SECONDS gets more than CHUNKS of them
CHUNKS = 200
SCAN_SECONDS = 240.0


@dataclass(frozen=True)
class ScanOutcome:
    """An ended scan and its packets."""

    scan_id: str
    shown: dict[str, Any]
    coverage: dict[str, Any]
    probes: Probes

    @property
    def lost_tries(self) -> Counter[str]:
        """The number of attempts at chunks that ended without a commit, by outcome."""
        tries = Counter(str(attempt["outcome"]) for chunk in self.coverage["chunks"] for attempt in chunk["attempts"])
        del tries["done"]
        return tries

    @property
    def most_repeated(self) -> int:
        """The number of probes of all lost attempts: no other probe may be sent twice."""
        return sum(
            chunk["units"]
            for chunk in self.coverage["chunks"]
            for attempt in chunk["attempts"]
            if attempt["outcome"] != "done"
        )


def scan_under(
    fleet: Rig,
    fault: Callable[[], object],
    at_done: int = 20,
    rate_pps: int = RATE_PPS,
    after_submit: Callable[[str], object] = lambda _scan_id: None,
) -> ScanOutcome:
    """Submit the scan, call `fault` once `at_done` chunks are done, and wait for the end."""
    with fleet.capture() as capture:
        scan_id = fleet.api.scan(target=TARGET, tool="masscan", ports=",".join(map(str, PORTS)), rate=rate_pps)
        with _stopped_unless_over(fleet, scan_id):
            after_submit(scan_id)
            until(lambda: _has_done(fleet, scan_id, at_done), SCAN_SECONDS, lambda: fleet.api.show(scan_id))
            fault()
            shown = fleet.api.wait_for(scan_id, SCAN_SECONDS)
        time.sleep(0.5)  # so that late packets are counted
    assert capture.dropped == 0, "the counter could not keep up"
    return ScanOutcome(scan_id, shown, fleet.api.coverage(scan_id), capture.probes)


@contextmanager
def _stopped_unless_over(fleet: Rig, scan_id: str) -> Iterator[None]:
    """A scan that was given up would go on to the same targets, among the probes of the next one."""
    try:
        yield
    except BaseException:
        fleet.api.call("POST", f"/api/scans/{scan_id}/stop")
        raise


def _has_done(fleet: Rig, scan_id: str, count: int) -> bool:
    answer = fleet.api.call("GET", f"/api/scans/{scan_id}")
    if not answer.ok:
        return False
    chunks = answer.json()["chunks"]
    assert chunks["pending"], "the scan is nearly over: nothing would be broken"
    return bool(chunks["done"] >= count and chunks["leased"] >= 1)


def assert_complete(outcome: ScanOutcome) -> None:
    """Every planned chunk is completed; every probe was sent, and only those of lost attempts twice."""
    shown, proof, probes = outcome.shown, outcome.coverage, outcome.probes
    assert shown["status"] == "completed", shown
    assert (proof["planned"], proof["completed"], proof["excluded"], proof["failed"]) == (PROBES, PROBES, 0, 0)
    assert proof["balances"]
    assert len(proof["chunks"]) >= CHUNKS
    assert sum(chunk["units"] for chunk in proof["chunks"]) == PROBES
    assert all(chunk["attempts"][-1]["outcome"] == "done" for chunk in proof["chunks"])
    print(f"\n{probes.repeated} probes repeated of {PROBES}, {outcome.most_repeated} possible; {outcome.lost_tries}")
    assert probes.repeated <= outcome.most_repeated


def assert_found_once(fleet: Rig, outcome: ScanOutcome) -> None:
    """The scan is complete and its findings are the known listeners, each once."""
    assert_complete(outcome)
    assert outcome.probes.distinct == PROBES
    found = fleet.api.findings(outcome.scan_id)
    assert set(found.values()) == {1}
    assert set(found) == open_ports(TARGET, PORTS)
