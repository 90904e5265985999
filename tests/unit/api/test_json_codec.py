"""Strict reading of bodies."""

import pytest

from cloudx.api.json_codec import MAX_NESTING, read_object
from cloudx.domain.errors import InvalidInput


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[]", b'"x"', b"1", b"null", b"{}{}", b'{"a":NaN}', b'{"a":Infinity}', b'{"a":1e400}',
        b'{"a":"\\ud800"}', b'{"a":"\xff"}', b"\x00", b'{"a":1,"a":2}', b'{"a":{"b":1,"b":1}}', b"{'a':1}", b'{"a":01}',
    ],
)  # fmt: skip
def test_what_two_parsers_could_read_differently_is_refused(data):
    with pytest.raises(InvalidInput):
        read_object(data)


@pytest.mark.parametrize("depth", [MAX_NESTING + 1, 1_000, 100_000])
def test_deep_nesting_is_refused_not_recursed_into(depth):
    with pytest.raises(InvalidInput):
        read_object(b'{"a":' + b"[" * depth + b"]" * depth + b"}")


def test_an_object_is_read_as_it_is():
    assert read_object('{"a": [1, "ä", null], "b": {"c": 1.5}}'.encode()) == {"a": [1, "ä", None], "b": {"c": 1.5}}


def test_a_field_given_twice_is_named():
    with pytest.raises(InvalidInput) as refused:
        read_object(b'{"tool":"nmap","target":"a","target":"b"}')
    assert refused.value.field == "target"
