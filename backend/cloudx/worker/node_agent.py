"""The node agent: registers the machine, and says every few seconds how it is."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil
import structlog

from cloudx.domain.errors import CloudxError, NodeNotRegistered
from cloudx.domain.nodes import HEARTBEAT_SECONDS, Heartbeat, NodeRole, NodeStatus, Preflight, Registration
from cloudx.services.ports import NodeReporter

log = structlog.get_logger()


@dataclass(frozen=True)
class NodeIdentity:
    """Who this machine is."""

    node_id: str
    role: NodeRole
    version: str


class NodeAgent:
    """Registers, beats, and registers again when the other side has forgotten it."""

    def __init__(self, identity: NodeIdentity, preflight: Preflight, reporter: NodeReporter) -> None:
        self._identity = identity
        self._preflight = preflight
        self._reporter = reporter

    def run_until(self, stopping: threading.Event) -> None:
        """Beat until stopped, then say goodbye."""
        registered = False
        psutil.cpu_percent()  # the first reading is always 0: it only sets the start
        while True:
            registered = self._report(registered, NodeStatus.HEALTHY)
            if stopping.wait(HEARTBEAT_SECONDS if registered else 1.0):
                break
        if registered:
            self._report(registered, NodeStatus.OFFLINE)

    def _report(self, registered: bool, status: NodeStatus) -> bool:
        try:
            if not registered:
                self._reporter.register(self._registration())
            self._reporter.beat(self._heartbeat(status))
            return True
        except NodeNotRegistered:
            return False
        except CloudxError as error:
            log.warning("node.report_failed", reason=error.message)
            return registered

    def _registration(self) -> Registration:
        return Registration(
            node_id=self._identity.node_id,
            hostname=socket.gethostname(),
            ip=outward_ip(),
            role=self._identity.role,
            capabilities=self._preflight.capabilities,
            version=self._identity.version,
            checks=self._preflight.checks,
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
