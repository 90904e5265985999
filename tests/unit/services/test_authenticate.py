"""Whom a credential stands for, without any database."""

import pytest
from typing_extensions import override

from cloudx.domain.access import Principal, Role
from cloudx.domain.errors import Unauthenticated
from cloudx.services.access.authenticate import ANONYMOUS, MAX_TOKEN_LENGTH, Authenticate, TokenCache
from cloudx.services.access.ports import TokenVerifier


def no_ledger(*, read_only: bool = False):
    raise AssertionError("this must not ask the database")


def authenticate(**changes) -> Authenticate:
    parts = {"open_ledger": no_ledger, "admin_token": lambda: "admin", "node_token": lambda: "node"}
    return Authenticate(**(parts | changes))


class Verifier(TokenVerifier):
    """Knows one token."""

    def __init__(self, known: str, principal: Principal) -> None:
        self._known, self._principal = known, principal

    @override
    def verify(self, token: str) -> Principal | None:
        return self._principal if token == self._known else None


def test_the_configured_tokens_stand_for_the_admin_and_for_any_node():
    assert authenticate()("Bearer admin").role is Role.ADMIN
    assert authenticate()("Bearer node") == Principal("node", Role.NODE, None)


def test_the_scheme_is_read_in_any_case():
    assert authenticate()("bEARER admin").role is Role.ADMIN


@pytest.mark.parametrize(
    "header",
    [
        None, "", "Bearer", "Bearer ", "Basic admin", "admin", "Bearer adminx", "Bearer Admin", "Bearer a b",
        "Bearer ädmin", "Bearer a.b.c", "Bearer " + "x" * (MAX_TOKEN_LENGTH + 1), "Bearer \x00", "Bearer null",
    ],
)  # fmt: skip
def test_anything_else_is_refused(header):
    with pytest.raises(Unauthenticated):
        authenticate()(header)


@pytest.mark.parametrize("header", ["Bearer None", "Bearer ", "Bearer"])
def test_a_token_that_is_not_configured_lets_nobody_in(header):
    with pytest.raises(Unauthenticated):
        authenticate(admin_token=lambda: None, node_token=lambda: None)(header)


def test_a_changed_token_file_counts_from_the_next_request_on():
    secrets = ["old"]
    check = authenticate(admin_token=lambda: secrets[0])
    assert check("Bearer old").role is Role.ADMIN
    secrets[0] = "new"
    assert check("Bearer new").role is Role.ADMIN
    with pytest.raises(Unauthenticated):
        check("Bearer old")


def test_open_access_is_the_anonymous_admin_who_may_speak_for_any_node():
    check = authenticate(is_open=True)
    assert check(None) == ANONYMOUS
    check.require_node(ANONYMOUS, "vps7")


def test_each_verifier_is_asked_until_one_knows_the_token():
    first, second = Principal("first", Role.VIEWER), Principal("second", Role.ADMIN)
    check = authenticate(verifiers=(Verifier("a.b.c", first), Verifier("d.e.f", second)))
    assert check("Bearer d.e.f") == second
    with pytest.raises(Unauthenticated):
        check("Bearer g.h.i")


def test_a_cached_principal_is_forgotten_after_its_seconds():
    now = [0.0]
    cache = TokenCache(seconds=5, clock=lambda: now[0])
    cache.put("hash", ANONYMOUS)
    now[0] = 4.9
    assert cache.get("hash") == ANONYMOUS
    now[0] = 5.0
    assert cache.get("hash") is None


def test_the_cache_is_bounded_and_drops_the_oldest():
    cache = TokenCache(size=2)
    for name in ("a", "b", "c"):
        cache.put(name, ANONYMOUS)
    assert [cache.get(name) is not None for name in ("a", "b", "c")] == [False, True, True]
