"""What makes a machine fit for scans, and what it can send."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import cast

import pytest
import structlog
from structlog.testing import capture_logs

from cloudx.domain.errors import DependencyUnavailable
from cloudx.domain.nodes import Check, CheckStatus, Preflight
from cloudx.services.fleet.judge_clock import KNOWN_SECONDS, CheckClock
from cloudx.services.fleet.judge_send_rate import SendMeasure, judge_send_rate
from cloudx.services.ledger.ledger import Ledger
from cloudx.worker import machine_checks
from cloudx.worker.machine_checks import MachineChecks

NOON = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("measure", "allowed_pps", "limit", "says"),
    [
        (SendMeasure(None), 100_000, None, "is being measured"),
        (SendMeasure(90_000), 100_000, 90_000, "can send 90,000 packets/s (measured on its loopback)"),
        (SendMeasure(400_000), 100_000, 100_000, "(CLOUDX_NODE_RATE_LIMIT_PPS; 400,000 measured on its loopback)"),
        (SendMeasure(400_000, "", "eth0", 100), 10**6, 148_809, "what the 100 Mbit/s of eth0 carry"),
        (SendMeasure(None, "no raw socket"), 100_000, None, "cannot be measured: no raw socket"),
    ],
)
def test_a_nodes_rate_is_the_least_of_what_it_the_link_and_its_owner_allow(measure, allowed_pps, limit, says) -> None:
    found, check = judge_send_rate(measure, allowed_pps)
    assert (found, says in check.output) == (limit, True), check
    assert (check.status is CheckStatus.WARNING) == bool(measure.problem)


class Database:
    """A ledger that knows the time, or is away."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_away = False

    @contextmanager
    def __call__(self, *, read_only: bool = False, at_once: bool = False) -> Iterator[Ledger]:
        if self.is_away:
            raise DependencyUnavailable("away")
        yield cast(Ledger, self)

    def now(self) -> datetime:
        self.asked += 1
        return NOON


def test_a_clock_ten_minutes_ahead_of_the_databases_makes_unfit_and_is_told() -> None:
    check = CheckClock(Database(), lambda: NOON.timestamp() + 600)()
    assert (check.status, "600 s ahead of the database's" in check.output) == (CheckStatus.CRITICAL, True)


def test_while_the_database_is_away_its_last_answer_counts(monkeypatch) -> None:
    database, ahead = Database(), 600.0
    clock = CheckClock(database, lambda: NOON.timestamp() + ahead)
    assert clock().status is CheckStatus.CRITICAL
    asked, database.is_away, ahead = database.asked, True, 0.0
    assert clock().status is CheckStatus.CRITICAL
    later = time.monotonic() + KNOWN_SECONDS + 1
    monkeypatch.setattr("cloudx.services.fleet.judge_clock.time.monotonic", lambda: later)
    assert clock().status is CheckStatus.CRITICAL
    database.is_away = False
    assert clock().status is CheckStatus.PASSING
    assert database.asked > asked


def test_a_machine_is_unfit_while_a_check_is_critical_and_says_so_once_each_way() -> None:
    status = CheckStatus.PASSING
    checks = MachineChecks(
        look=lambda: Preflight(("nmap",), (Check("tool-nmap", "nmap installed", CheckStatus.PASSING),)),
        send_rate=lambda: (7, Check("send-rate", "send rate", CheckStatus.PASSING)),
        others=(lambda: Check("disk", "disk space", status, "it is full"),),
    )
    machine_checks.log = structlog.get_logger()  # one that has not been used yet can be listened to
    with capture_logs() as logged:
        assert checks.is_fit()
        status = CheckStatus.CRITICAL
        assert [checks.is_fit() for _ in range(3)] == [False] * 3
        status = CheckStatus.PASSING
        assert checks.is_fit()
    assert [(line["event"], line.get("reason")) for line in logged] == [
        ("worker.unfit", "it is full"),
        ("worker.fit_again", None),
    ]
    whole = checks()
    assert [check.id for check in whole.checks] == ["tool-nmap", "send-rate", "disk"]
    assert whole.rate_limit_pps == 7
