"""The node agent: registers the machine, and reports every few seconds how it is."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil
import structlog

from cloudx.domain.errors import CloudxError, NodeNotRegistered
from cloudx.domain.nodes import (
    HEARTBEAT_SECONDS,
    Check,
    CheckStatus,
    Heartbeat,
    NodeRole,
    NodeStatus,
    Preflight,
    Registration,
    seconds_to_next_beat,
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

    def run_until(self, stopping: threading.Event) -> None:
        """Send heartbeats until stopped, and then one that says offline."""
        psutil.cpu_percent()  # the first reading is always 0: it only sets the start
        while True:
            self._report(NodeStatus.HEALTHY)
            if stopping.wait(seconds_to_next_beat(self._failures) if self._registered else RETRY_SECONDS):
                break
        if self._registered:
            self._report(NodeStatus.OFFLINE)

    def check(self) -> Check:
        """Whether heartbeats arrive, as a check of this machine."""
        silent_seconds = time.monotonic() - self._last_success
        if silent_seconds <= 2 * HEARTBEAT_SECONDS:
            return Check("heartbeat", "heartbeat", CheckStatus.PASSING, "heartbeats are accepted")
        output = f"no heartbeat has been accepted for {silent_seconds:.0f} s: {self._refusal}"
        return Check("heartbeat", "heartbeat", CheckStatus.CRITICAL, output)

    def _report(self, status: NodeStatus) -> None:
        try:
            preflight = self._look()
            if preflight != self._registered:
                self._reporter.register(self._registration(preflight))
                self._registered = preflight
            self._reporter.beat(self._heartbeat(status))
            self._last_success = time.monotonic()
            self._failures = 0
        except NodeNotRegistered as error:
            self._registered, self._refusal = None, error.message
        except CloudxError as error:
            self._refusal = error.message
            self._failures += 1
            log.warning("node.report_failed", reason=error.message)

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


def outward_ip() -> str:
    """The address this machine would send from; connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1, RFC 5737
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
