"""Named lists of targets, which scans and schedules refer to."""

from __future__ import annotations

from typing import Any

from cloudx.services.schedules.edit_lists import add_list, delete_list

from ..access import Access, access
from ..blueprint import resource
from ..context import deps, principal
from ..schemas.common import Message, error_responses
from ..schemas.lists import ListBody, ListItem, ListOfLists
from ..schemas.policy import RecordPath

blueprint = resource("lists", "/api/lists")


@blueprint.get("", summary="List the named lists", responses={200: ListOfLists})
@access(Access.VIEWER)
def list_lists() -> Any:
    """With their targets, as written."""
    with deps().open_ledger(read_only=True) as ledger:
        return [vars(made) for made in ledger.lists.all()]


@blueprint.post("", summary="Name a list of targets", responses={201: ListItem, **error_responses(409, 413)})
@access(Access.OPERATOR)
def create_list(body: ListBody) -> Any:
    """It allows nothing: what is scanned of it has to lie in a scope then."""
    return vars(add_list(deps().open_ledger, principal(), name=body.name, targets=tuple(body.targets))), 201


@blueprint.delete("/<record_id>", summary="Forget a list", responses={200: Message, **error_responses(404)})
@access(Access.OPERATOR)
def remove_list(path: RecordPath) -> Any:
    """Scans made of it go on; a schedule that names it is refused at its next run."""
    delete_list(deps().open_ledger, principal(), path.record_id)
    return {"message": f"List {path.record_id} is forgotten."}
