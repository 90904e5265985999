"""The load of this machine, or the latency of another one."""

from __future__ import annotations

from typing import Any

from ..access import Access, access
from ..blueprint import resource
from ..context import deps
from ..present_monitor import show_host, show_latency
from ..schemas.machine import Monitor, MonitorQuery

blueprint = resource("system", "/api")

_THIS_MACHINE = ("", "localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104 - a name that people type, not a bind


@blueprint.get("/system-monitor", summary="A machine's figures", responses={200: Monitor})
@access(Access.VIEWER)
def system_monitor(query: MonitorQuery) -> Any:
    """Another machine needs no agent, but has to be in scope."""
    if query.target.strip().lower() in _THIS_MACHINE:
        return show_host(deps().host_history.samples())
    return show_latency(deps().measure_latency(query.target))
