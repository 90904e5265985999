"""How often a waiting command asks, what it forgives, and how commands end."""

from __future__ import annotations

import pytest

from cloudx.cli.api_client import ApiRefused, ApiUnreachable
from cloudx.cli.follow_scan import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Pace, is_temporary
from cloudx.domain.errors import BadConfiguration, CloudxError, InvalidInput, NotFound
from cloudx.processes.exits import exit_code_of


def test_the_questions_grow_rarer_and_never_rarer_than_the_bound() -> None:
    pace = Pace()
    pauses = [pace.after_answer(0.01) for _ in range(200)]
    assert pauses[0] == FIRST_PAUSE_SECONDS
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_SECONDS


def test_a_slow_api_is_asked_a_fifth_of_the_time_at_most() -> None:
    assert Pace().after_answer(0.4) == pytest.approx(1.6)
    assert Pace().after_answer(60.0) == LONGEST_PAUSE_SECONDS


def test_retry_after_is_honoured_within_reason() -> None:
    assert Pace().after_failure(7.0) == 7.0
    assert Pace().after_failure(None) == LONGEST_PAUSE_SECONDS
    assert Pace().after_failure(86_400.0) == 30.0


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (ApiUnreachable("x"), True),
        (ApiRefused(503, "dependency_unavailable", "x"), True),
        (ApiRefused(502, "bad_gateway", "x"), True),
        (ApiRefused(429, "rate_limited", "x"), True),
        (ApiRefused(401, "unauthenticated", "x"), False),
        (ApiRefused(404, "not_found", "x"), False),
        (ApiRefused(500, "internal_error", "x"), False),
        (NotFound("x"), False),
    ],
)
def test_only_what_passes_by_itself_is_waited_for(error: CloudxError, passes: bool) -> None:
    assert is_temporary(error) is passes


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("id", "x"), 2),
        (BadConfiguration("x"), 2),
        (ApiRefused(400, "invalid_input", "x"), 2),
        (ApiRefused(413, "too_large", "x"), 2),
        (ApiRefused(403, "target_out_of_scope", "x"), 1),
        (ApiRefused(404, "not_found", "x"), 1),
        (ApiRefused(409, "no_capable_node", "x"), 1),
        (ApiUnreachable("x"), 1),
    ],
)
def test_a_wrong_request_ends_with_2_and_a_failed_one_with_1(error: CloudxError, code: int) -> None:
    assert exit_code_of(error) == code
