"""Who probed an address: the answer to a complaint."""

from __future__ import annotations

from typing import Any

from cloudx.domain.scopes import Scope
from cloudx.services.scans.find_probes import Probe

from ..access import Access, access
from ..blueprint import resource
from ..context import deps
from ..schemas.probes import ProbesAnswer, ProbesQuery

blueprint = resource("probes", "/api/probes")


@blueprint.get("", summary="Who probed an address then", responses={200: ProbesAnswer})
@access(Access.OPERATOR)
def find(query: ProbesQuery) -> Any:
    """Every attempt that may have sent a packet to it: lost, stopped and running ones too."""
    found = deps().find_probes(query.ip, query.at, query.window)
    probes = [_show(probe) for probe in found.probes]
    return {"ip": found.ip, "from": found.since, "to": found.until, "probes": probes}


def _show(probe: Probe) -> dict[str, Any]:
    attempt, sending = probe.attempt, probe.attempt.sending
    return {
        "scan_id": attempt.scan_id,
        "tool": attempt.tool,
        "scan_type": attempt.type_name,
        "ports": attempt.ports,
        "node_id": attempt.node_id,
        "source_ip": attempt.source_ip,
        "started_at": sending.started_at,
        "ended_at": sending.ended_at,
        "outcome": sending.outcome,
        "asked_by": attempt.asked_by,
        "scope": _show_scope(probe.scope) if probe.scope else None,
    }


def _show_scope(scope: Scope) -> dict[str, str]:
    return {"id": scope.id, "owner": scope.owner, "note": scope.note}
