"""The load of this machine, or the latency of another one."""

from __future__ import annotations

from typing import Any

from cloudx.services.fleet.latency import is_this_machine

from ..access import Access, access
from ..blueprint import resource
from ..context import deps, principal
from ..present_monitor import show_host, show_latency
from ..schemas.machine import Monitor, MonitorQuery

blueprint = resource("system", "/api")


@blueprint.get("/system-monitor", summary="A machine's figures", responses={200: Monitor})
@access(Access.VIEWER)
def system_monitor(query: MonitorQuery) -> Any:
    """Another machine needs no agent, but has to be in scope, and takes an operator: it is sent probes."""
    if is_this_machine(query.target):
        return show_host(deps().host_history.samples())
    return show_latency(deps().measure_latency(query.target, principal()))
