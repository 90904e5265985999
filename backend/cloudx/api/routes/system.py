"""How this machine is, or how far another one is."""

from __future__ import annotations

import time
from typing import Any

from ..access import Access, access
from ..blueprint import resource
from ..context import deps, process
from ..schemas.machine import Monitor, MonitorQuery

blueprint = resource("system", "/api")

_HERE = ("localhost", "")


@blueprint.get("/system-monitor", summary="A machine's figures", responses={200: Monitor})
@access(Access.VIEWER)
def system_monitor(query: MonitorQuery) -> Any:
    """Another machine needs no agent, and has to be in scope."""
    if query.target in _HERE:
        return process().host_history.shown()
    round_trips = deps().measure_latency(query.target)
    timestamp_ms = int(time.time() * 1000)
    samples = [{"value": value, "timestamp": timestamp_ms} for value in round_trips]
    return {"network": samples, "is_agentless": True}
