"""The nodes, and how fresh this instance's view of them is."""

from __future__ import annotations

import time
from collections import Counter as Tally
from math import isfinite

from prometheus_client import Gauge

from cloudx.domain.nodes import NodeStatus
from cloudx.services.fleet.snapshot import FleetSnapshot
from cloudx.services.fleet.watch import FleetFreshness

# Every process reads the same fleet, so the value set last is the right one.
NODES = Gauge("cloudx_nodes", "Nodes by status", ["status"], multiprocess_mode="mostrecent")
READ_AT = Gauge("cloudx_fleet_view_timestamp_seconds", "When the fleet was read last", multiprocess_mode="mostrecent")
LONGEST_SILENCE = Gauge(
    "cloudx_node_longest_silence_seconds",
    "Time since the last heartbeat of the most silent node that is not offline",
    multiprocess_mode="mostrecent",
)
STALE = Gauge(
    "cloudx_fleet_source_stale",
    "1 where a source of the fleet's view does not answer",
    ["source"],
    multiprocess_mode="mostrecent",
)
SOURCE_AGE = Gauge(
    "cloudx_fleet_source_age_seconds",
    "Time since a source of the fleet's view answered",
    ["source"],
    multiprocess_mode="mostrecent",
)


def publish_fleet(snapshot: FleetSnapshot) -> None:
    """Set the fleet's gauges from a new snapshot."""
    by_status = Tally(fleet_node.status for fleet_node in snapshot.nodes)
    for status in NodeStatus:
        NODES.labels(status.value).set(by_status[status])
    READ_AT.set(time.time())


def publish_freshness(freshness: FleetFreshness, snapshot: FleetSnapshot | None) -> None:
    """Set what tells how old the view is; thousands of nodes are looked at, so not with each snapshot."""
    for name, source in freshness.sources.items():
        STALE.labels(name).set(source.status == "error")
        if source.age_seconds is not None:
            SOURCE_AGE.labels(name).set(source.age_seconds)
    if snapshot is not None:
        LONGEST_SILENCE.set(_longest_silence(snapshot))


def _longest_silence(snapshot: FleetSnapshot) -> float:
    alive = (each.node for each in snapshot.nodes if each.status is not NodeStatus.OFFLINE)
    silences = (node.silent_seconds(snapshot.reading.now) for node in alive)
    return max((seconds for seconds in silences if isfinite(seconds)), default=0.0)
