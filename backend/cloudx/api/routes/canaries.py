"""Canaries: known listeners, by which a node sees that its way out works."""

from __future__ import annotations

from typing import Any

from cloudx.services.access.edit_canaries import add_canary, delete_canary

from ..access import Access, access
from ..blueprint import resource
from ..context import deps, principal
from ..schemas.canaries import CanaryBody, CanaryItem, CanaryList
from ..schemas.common import Message, error_responses
from ..schemas.policy import RecordPath

blueprint = resource("canaries", "/api/canaries")


@blueprint.get("", summary="List canaries", responses={200: CanaryList})
@access(Access.VIEWER)
def list_canaries() -> Any:
    """All of them; how each node is answered is its check `canaries`."""
    with deps().open_ledger(read_only=True) as ledger:
        return [vars(canary) for canary in ledger.policies.canaries()]


@blueprint.post("", summary="Name a canary", responses={201: CanaryItem})
@access(Access.ADMIN)
def create_canary(body: CanaryBody) -> Any:
    """Nodes look at it within seconds; one that no canary answers takes no work."""
    canary = add_canary(
        deps().open_ledger, principal(), target=body.target, port=body.port, protocol=body.protocol, note=body.note
    )
    return vars(canary), 201


@blueprint.delete("/<record_id>", summary="Forget a canary", responses={200: Message, **error_responses(404)})
@access(Access.ADMIN)
def remove_canary(path: RecordPath) -> Any:
    """Nodes look at it no more."""
    delete_canary(deps().open_ledger, principal(), path.record_id)
    return {"message": f"Canary {path.record_id} is forgotten."}
