"""Resolve many names side by side, within a bound of time."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cloudx.domain.addresses import Address
from cloudx.domain.errors import DependencyUnavailable, InvalidInput

from .ports import Resolver
from .side_by_side import ask_side_by_side

SIDE_BY_SIDE = 100  # 10,000 names at 100 ms take 10 s; the API gives as many threads to it (gunicorn_conf.py)
NAMES_SECONDS = 30.0  # what a request waits for its names
SHOWN_NAMES = 10  # in an error; its details have all

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answers:
    """What became of each name that was asked for."""

    found: dict[str, tuple[Address, ...]]  # in the order of asking
    dead: tuple[str, ...] = ()  # there is no such name, or it has no address
    silent: tuple[str, ...] = ()  # no name server answered in time


def resolve_names(resolver: Resolver, names: Iterable[str], within_seconds: float) -> Answers:
    """Ask for every name, SIDE_BY_SIDE at a time; those without an answer after `within_seconds` count as silent."""
    asked = tuple(dict.fromkeys(names))
    return _sorted(asked, ask_side_by_side(lambda name: _answer(resolver, name), asked, SIDE_BY_SIDE, within_seconds))


def require_answers(answers: Answers, field: str, kind: str = "address") -> None:
    """Raise InvalidInput naming all that have no address, or DependencyUnavailable naming all without an answer."""
    if answers.dead:
        count = len(answers.dead)
        what, has = ("The host name", "has") if count == 1 else (f"{count:,} host names:", "have")
        message = f"{what} {listed(answers.dead)} {has} no {kind}. Check the spelling, or give addresses."
        raise InvalidInput(field, message, host_names=list(answers.dead))
    if answers.silent:
        message = f"The name server did not answer for {listed(answers.silent)}. Try again, or give addresses."
        raise DependencyUnavailable(message, host_names=list(answers.silent))


def listed(names: Sequence[str], most: int = SHOWN_NAMES) -> str:
    """The first of the names, and how many more there are."""
    shown = ", ".join(map(repr, names[:most]))
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown


def _answer(resolver: Resolver, name: str) -> tuple[Address, ...] | None:
    try:
        return tuple(resolver.resolve(name))
    except DependencyUnavailable:
        return None
    except Exception:  # the other names still count
        log.exception("names.resolver_failed")
        return None


def _sorted(asked: tuple[str, ...], answers: dict[str, tuple[Address, ...] | None]) -> Answers:
    found, dead, silent = dict[str, tuple[Address, ...]](), list[str](), list[str]()
    for name in asked:
        addresses = answers.get(name)
        if addresses:
            found[name] = addresses
        else:
            (silent if addresses is None else dead).append(name)
    return Answers(found, tuple(dead), tuple(silent))
