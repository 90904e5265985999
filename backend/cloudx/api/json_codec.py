"""JSON by orjson, and strict reading of request bodies."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import orjson
from flask import Request, Response
from flask.json.provider import JSONProvider
from werkzeug.exceptions import RequestEntityTooLarge

from cloudx.domain.errors import InvalidInput, TooLarge

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
_NOT_WHOLE = "The body did not arrive whole. Send it again."
MAX_NESTING = 32
MAX_NAMES = 100  # in one object; each name that a schema does not know becomes an error of its own


def encode(value: Any) -> bytes:
    """As JSON: dataclasses, enums, tuples and times too; times in UTC with a Z."""
    return orjson.dumps(value, option=_OPTIONS)


class OrjsonProvider(JSONProvider):
    """What Flask uses for responses made from dicts and lists."""

    def dumps(self, obj: Any, **_options: Any) -> str:
        """As text."""
        return encode(obj).decode()

    def loads(self, s: str | bytes, **_options: Any) -> Any:
        """Strict: no NaN, no lone surrogates."""
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Any:
        """A JSON response; bytes all the way."""
        return json_response(encode(self._prepare_response_obj(args, kwargs)))


class StrictRequest(Request):
    """A request whose JSON body is an object, or an error that says what is wrong with it."""

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """The body as a dict. Raises InvalidInput or TooLarge, whatever `silent` says."""
        if not self.is_json:
            raise InvalidInput("Content-Type", "The body has to be JSON: send Content-Type: application/json.")
        try:
            data = self.get_data(cache=cache)
        except RequestEntityTooLarge:
            raise
        except Exception as error:  # each server has an exception of its own for a broken chunk
            raise InvalidInput("body", _NOT_WHOLE) from error
        if len(data) < (self.content_length or 0):  # gunicorn ends a body where its client leaves
            raise InvalidInput("body", _NOT_WHOLE)
        # A body sent in chunks has no length beforehand; werkzeug silently cuts it at the bound.
        if self.max_content_length is not None and len(data) >= self.max_content_length:
            raise TooLarge("The body is too large. Use CIDRs and ranges, or split the request.")
        return read_object(data)


def read_object(data: bytes) -> dict[str, Any]:
    """Parse a JSON object; refuse one that two parsers could read differently. Raises InvalidInput."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidInput("body", f"The body is not valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise InvalidInput("body", "The body has to be a JSON object: {…}.")
    _require_shallow(value)
    json.loads(data, object_pairs_hook=_unique_names)  # orjson silently keeps the last of two equal names
    return value


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """In time that grows with the number of names alone, whatever they are."""
    names = dict(pairs)
    if len(names) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise InvalidInput(twice[:64], f"The field {twice[:64]!r} is there twice. Give it once.")
    if len(names) > MAX_NAMES:
        raise InvalidInput("body", f"One object has more than {MAX_NAMES} fields. Leave the unknown ones out.")
    return names


def _require_shallow(value: Any) -> None:
    layer: list[Any] = [value]
    for _ in range(MAX_NESTING):
        layer = [inner for outer in layer for inner in _children(outer) if isinstance(inner, dict | list)]
        if not layer:
            return
    raise InvalidInput("body", f"The body is nested more than {MAX_NESTING} deep.")


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def json_response(body: bytes, status: int = 200) -> Response:
    """A response of JSON that is encoded already."""
    return Response(body, status, mimetype="application/json")
