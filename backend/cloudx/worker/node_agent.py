"""The node agent: registers the machine, and reports every few seconds how it is."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil
import structlog

from cloudx.domain.beats import HEARTBEAT_SECONDS, believed_seconds, seconds_to_next_beat
from cloudx.domain.errors import CloudxError, NodeNotRegistered
from cloudx.domain.nodes import (
    Check,
    CheckStatus,
    Heartbeat,
    NodeRole,
    NodeStatus,
    Preflight,
    Registration,
)
from cloudx.services.fleet.ports import NodeReporter

RETRY_SECONDS = 1.0  # until it is registered: an unknown node gets no work

log = structlog.get_logger()


@dataclass(frozen=True)
class NodeIdentity:
    """This machine's identity in its fleet."""

    node_id: str
    role: NodeRole
    version: str


class NodeAgent:
    """Registers, sends heartbeats, and registers again when it was forgotten or the machine has changed."""

    def __init__(self, identity: NodeIdentity, look: Callable[[], Preflight], reporter: NodeReporter) -> None:
        self._identity = identity
        self._look = look
        self._reporter = reporter
        self._registered: Preflight | None = None
        self._last_success = time.monotonic()
        self._refusal = "it has not been tried yet"
        self._failures = 0  # since the last beat that was accepted
        self._told_seconds = HEARTBEAT_SECONDS  # between two beats
        self._next_beat_at = time.monotonic()

    def run_until(self, stopping: threading.Event) -> None:
        """Send heartbeats until stopped, and then one that says offline."""
        psutil.cpu_percent()  # the first reading is always 0: it only sets the start
        while not stopping.wait(self._step()):
            pass
        if self._registered:
            self._report(NodeStatus.OFFLINE)

    def check(self) -> Check:
        """Whether heartbeats arrive, as a check of this machine."""
        silent_seconds = time.monotonic() - self._last_success
        if silent_seconds <= self._told_seconds + HEARTBEAT_SECONDS:
            return Check("heartbeat", "heartbeat", CheckStatus.PASSING, "heartbeats are accepted")
        output = f"no heartbeat has been accepted for {silent_seconds:.0f} s: {self._refusal}"
        return Check("heartbeat", "heartbeat", CheckStatus.CRITICAL, output)

    def _step(self) -> float:
        """Beat if it is time for that, or if the machine has changed; how long to wait until the next step."""
        is_due = time.monotonic() >= self._next_beat_at
        if not self._report(NodeStatus.HEALTHY, is_due):
            return min(HEARTBEAT_SECONDS, max(0.1, self._next_beat_at - time.monotonic()))
        told_seconds = _spread(self._told_seconds)
        pause_seconds = seconds_to_next_beat(self._failures, told_seconds) if self._registered else RETRY_SECONDS
        self._next_beat_at = time.monotonic() + pause_seconds
        return min(HEARTBEAT_SECONDS, pause_seconds)

    def _report(self, status: NodeStatus, is_due: bool = True) -> bool:
        """Register if the machine has changed, and beat; False where it has not and no beat is due."""
        try:
            preflight = self._look()
            if preflight != self._registered:
                self._reporter.register(self._registration(preflight))
                self._registered = preflight
            elif not is_due:
                return False
            self._told_seconds = believed_seconds(self._reporter.beat(self._heartbeat(status)))
            self._last_success = time.monotonic()
            self._failures = 0
        except NodeNotRegistered as error:
            self._registered, self._refusal = None, error.message
        except CloudxError as error:
            self._refusal = error.message
            self._failures += 1
            log.warning("node.report_failed", reason=error.message)
        return True

    def _registration(self, preflight: Preflight) -> Registration:
        return Registration(
            node_id=self._identity.node_id,
            hostname=socket.gethostname(),
            ip=outward_ip(),
            role=self._identity.role,
            capabilities=preflight.capabilities,
            version=self._identity.version,
            checks=preflight.checks,
            rate_limit_pps=preflight.rate_limit_pps,
            reach=preflight.reach,
        )

    def _heartbeat(self, status: NodeStatus) -> Heartbeat:
        return Heartbeat(
            node_id=self._identity.node_id,
            status=status,
            cpu=psutil.cpu_percent(),
            mem=psutil.virtual_memory().percent,
            loadavg=tuple(round(load, 2) for load in psutil.getloadavg()),
            updated_at=datetime.now(UTC),
        )


def _spread(told_seconds: float) -> float:
    """A large fleet that began at one moment, after an outage, does not beat at one moment for ever."""
    if told_seconds <= HEARTBEAT_SECONDS:
        return told_seconds
    return told_seconds * random.uniform(0.8, 1.0)  # noqa: S311 - spreads load, keeps no secret


def outward_ip() -> str:
    """The address this machine would send from; connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1, RFC 5737
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
