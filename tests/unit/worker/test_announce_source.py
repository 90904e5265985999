"""No scanner is started before the ledger knows where its packets will come from."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from cloudx.domain.chunks import ChunkSpan, Lease
from cloudx.domain.errors import DependencyUnavailable, LeaseLost
from cloudx.domain.targets import parse_targets
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.scanner_port import Egress, Machine
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.worker import announce_source as module
from cloudx.worker.announce_source import announce_source
from unit.domain.scan_builder import NOW, a_scan

LEASE = Lease("s", ChunkSpan(0, 0, 1), 1, "w", "n", 100, NOW)
CLAIM = Claim(LEASE, a_scan(), parse_targets("10.0.0.1").addresses, None, 0)
EGRESS = Egress("eth0", "192.0.2.1", "192.0.2.254", "m")


class Ledger:
    """Keeps what is noted, after it has been away a few times."""

    def __init__(self, times_away: int = 0, *, is_held: bool = True) -> None:
        self.noted: list[str] = []
        self.committed: list[str] = []
        self._times_away = times_away
        self._is_held = is_held
        self.chunks = self

    @contextmanager
    def open(self, **_options: bool) -> Iterator[Ledger]:
        if self._times_away > 0:
            self._times_away -= 1
            raise DependencyUnavailable("away")
        yield self

    def note_source(self, lease: Lease, source_ip: str) -> bool:
        assert lease is LEASE
        self.noted.append(source_ip)
        return self._is_held

    def commit(self) -> None:
        self.committed = list(self.noted)


class OneSource:
    """A machine that would send from one address, or from several."""

    def __init__(self, source: str | None) -> None:
        self.source = source

    def source_for(self, _addresses: object) -> str | None:
        return self.source


def announce(ledger: Ledger, source: str | None = None, egress: Egress | None = None, **more: Any) -> None:
    must_end = more.pop("must_end", threading.Event())
    machine = cast(Machine, OneSource(source))
    announce_source(cast(OpenLedger, ledger.open), CLAIM, machine, egress, must_end)


def test_masscan_and_zmap_send_from_their_egress_and_nmap_from_where_the_kernel_would() -> None:
    ledger = Ledger()
    announce(ledger, "192.0.2.9", EGRESS)
    announce(ledger, "192.0.2.9")
    assert ledger.committed == ["192.0.2.1", "192.0.2.9"]


def test_where_it_is_not_one_address_none_is_noted() -> None:
    ledger = Ledger()
    announce(ledger, None)
    assert ledger.noted == []


def test_while_the_database_is_away_it_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    ledger = Ledger(times_away=3)
    announce(ledger, egress=EGRESS)
    assert ledger.committed == ["192.0.2.1"]


def test_it_does_not_wait_for_the_database_longer_than_the_run_may_last() -> None:
    must_end = threading.Event()
    must_end.set()
    ledger = Ledger(times_away=1_000_000)
    announce(ledger, egress=EGRESS, must_end=must_end)
    assert ledger.noted == []


def test_a_lost_lease_ends_the_run() -> None:
    with pytest.raises(LeaseLost):
        announce(Ledger(is_held=False), egress=EGRESS)
