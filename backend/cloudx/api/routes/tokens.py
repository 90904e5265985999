"""API tokens."""

from __future__ import annotations

from typing import Any

from cloudx.domain.access import ApiToken
from cloudx.services.access.tokens import issue_token, revoke_token

from ..access import Access, access
from ..blueprint import resource
from ..context import deps, principal
from ..schemas.common import Message, error_responses
from ..schemas.policy import NewToken, RecordPath, TokenBody, TokenList

blueprint = resource("tokens", "/api/tokens")


@blueprint.get("", summary="List tokens", responses={200: TokenList})
@access(Access.ADMIN)
def list_tokens() -> Any:
    """Never their secrets."""
    with deps().open_ledger(read_only=True) as ledger:
        return [_show(token) for token in ledger.tokens.all()]


@blueprint.post("", summary="Make a token", responses={201: NewToken})
@access(Access.ADMIN)
def create(body: TokenBody) -> Any:
    """Its secret is in this answer, and nowhere else."""
    deps().authenticate.require_closed()
    token, secret = issue_token(
        deps().open_ledger,
        principal(),
        name=body.name,
        role=body.role,
        node_id=body.node_id,
        expires_at=body.expires_at,
    )
    return _show(token) | {"token": secret}, 201


@blueprint.delete("/<record_id>", summary="Revoke a token", responses={200: Message, **error_responses(404)})
@access(Access.ADMIN)
def revoke(path: RecordPath) -> Any:
    """At once here; within five seconds in the API's other processes."""
    revoke_token(deps().open_ledger, principal(), path.record_id)
    deps().authenticate.cache.clear()
    return {"message": f"Token {path.record_id} is revoked."}


def _show(token: ApiToken) -> dict[str, Any]:
    return {name: value for name, value in vars(token).items() if name != "sha256"}
