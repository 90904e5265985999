"""The table from domain errors to HTTP."""

from cloudx.api.errors import STATUS_OF
from cloudx.domain import errors

# Conditions of workers and of the start, which no request can meet.
NEVER_IN_A_REQUEST = {errors.LeaseLost, errors.BadConfiguration}


def all_errors() -> set[type[errors.CloudxError]]:
    return {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.CloudxError) and kind is not errors.CloudxError
    }


def test_every_error_a_request_can_meet_has_a_status():
    assert set(STATUS_OF) == all_errors() - NEVER_IN_A_REQUEST


def test_every_error_has_a_code_of_its_own():
    codes = [kind.code for kind in all_errors()]
    assert len(set(codes)) == len(codes)


def test_no_known_error_is_answered_with_a_500():
    assert all(400 <= status < 500 or status == 503 for status in STATUS_OF.values())
