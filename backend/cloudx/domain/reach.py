"""What masscan and zmap can send to from a node: they write frames for one gateway, and know no way around it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from .addresses import AddressSet

MAX_RANGES = 256  # of a report: a machine with more has a table of routes that no list tells


@dataclass(frozen=True)
class Reach:
    """IPv4 ranges, first-last or one address each, as a node reported them.

    `links` are on its own networks, where each address is its own next hop, so a run takes one of them at a time;
    to `unrouted` ones no gateway leads: no route, multicast, or the machine itself.
    """

    links: tuple[str, ...] = ()
    unrouted: tuple[str, ...] = ()

    def blocked(self, addresses: AddressSet) -> AddressSet:
        """Those of the addresses that masscan and zmap cannot send to from there."""
        on_link = addresses & _set_of(self.links)
        stuck = addresses & _set_of(self.unrouted)
        return stuck | on_link if on_link.size > 1 else stuck


@lru_cache(maxsize=4096)
def _set_of(texts: tuple[str, ...]) -> AddressSet:
    return AddressSet.of_texts(texts)


def blocked_everywhere(addresses: AddressSet, reaches: Iterable[Reach | None]) -> AddressSet:
    """Those that no node can send to; a node that reported nothing may be able to send to all."""
    stuck: AddressSet | None = None
    for reach in reaches:
        blocked = reach.blocked(addresses) if reach is not None else AddressSet(())
        stuck = blocked if stuck is None else stuck & blocked
        if not stuck:
            break
    return stuck if stuck is not None else AddressSet(())
