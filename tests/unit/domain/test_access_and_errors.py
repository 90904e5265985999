"""Who may do what, and the codes people program against."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cloudx.domain import errors
from cloudx.domain.access import ApiToken, Principal, Role, check_token_request
from cloudx.domain.errors import CloudxError, Forbidden, InvalidInput

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REACHES = {
    Role.VIEWER: {Role.VIEWER},
    Role.OPERATOR: {Role.VIEWER, Role.OPERATOR},
    Role.ADMIN: {Role.VIEWER, Role.OPERATOR, Role.ADMIN},
    Role.NODE: set(),
}


@pytest.mark.parametrize("has", Role)
@pytest.mark.parametrize("needs", [Role.VIEWER, Role.OPERATOR, Role.ADMIN])
def test_a_role_reaches_those_below_it_and_a_node_none(has: Role, needs: Role) -> None:
    principal = Principal("p", has)
    if needs in REACHES[has]:
        principal.require(needs)
        return
    with pytest.raises(Forbidden, match="Ask an admin"):
        principal.require(needs)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("bound_to", [None, "n1", "n2", ""])
def test_a_node_credential_speaks_for_its_own_node_alone(role: Role, bound_to: str | None) -> None:
    principal = Principal("p", role, bound_to)
    if role is Role.NODE and bound_to in (None, "n1"):
        principal.require_node("n1")
        return
    with pytest.raises(Forbidden):
        principal.require_node("n1")


def test_a_token_lives_until_it_expires_and_stands_for_its_role() -> None:
    token = ApiToken("id", "ci", Role.NODE, "ab", NOW, "ada", "n1", NOW + timedelta(seconds=1))
    assert token.is_live(NOW)
    assert not token.is_live(NOW + timedelta(seconds=1))
    assert token.principal() == Principal("token:ci", Role.NODE, "n1", token_id="id")
    assert ApiToken("id", "ci", Role.VIEWER, "ab", NOW, "ada").is_live(NOW + timedelta(days=9999))


def test_a_node_token_names_its_node_and_no_other_token_does() -> None:
    check_token_request(Role.NODE, "n1")
    check_token_request(Role.ADMIN, None)
    for role, node_id in ((Role.NODE, None), (Role.NODE, ""), (Role.ADMIN, "n1"), (Role.VIEWER, "n1")):
        with pytest.raises(InvalidInput) as caught:
            check_token_request(role, node_id)
        assert caught.value.field == "node_id"


def test_every_condition_has_a_code_of_its_own_in_snake_case() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CloudxError)]
    codes = [kind.code for kind in kinds]
    assert len(kinds) > 10
    assert len(set(codes)) == len(codes)
    assert all(code == code.lower() and code.replace("_", "").isalpha() for code in codes)
    assert all(kind.__doc__ for kind in kinds)


def test_an_error_keeps_its_message_and_its_details() -> None:
    error = InvalidInput("port", "No.", value=3)
    assert (error.message, str(error), error.field) == ("No.", "No.", "port")
    assert error.details == {"field": "port", "value": 3}
