"""Which addresses a webhook may go to: public ones, and those of networks that a setting names.

By IANA's registries of special-purpose addresses (RFC 6890): https://www.iana.org/assignments/iana-ipv4-special-registry
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

SETTING = "CLOUDX_WEBHOOK_NETWORKS"
_SPECIAL_IPV4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
)
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
# Within it what is special or carries an IPv4 address: protocols and Teredo, documentation, 6to4.
_SPECIAL_IPV6 = tuple(ipaddress.IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """CIDRs as networks. Raises ValueError."""
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as error:
        raise ValueError(f"takes CIDRs with commas between, such as 10.1.2.0/24: {error}") from None


def allowed_networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The same texts, if all of them are networks. Raises ValueError."""
    networks_of(texts)
    return texts


def address_of(text: str) -> Address:
    """An address as it is written, without a zone; one mapped into IPv6 is the IPv4 address. Raises ValueError."""
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def why_not(address: Address, allowed: Iterable[Network], *, is_own: bool = False) -> str | None:
    """Why no webhook goes to an address, with the remedy; None where it may. `is_own`: this machine has it."""
    if any(address.version == network.version and address in network for network in allowed):
        return None
    kind = "this machine's own" if is_own else "not a public one" if _is_special(address) else None
    return kind and f"{address} is {kind}. Put its network into {SETTING} if a webhook shall go there."


def _is_special(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return any(address in network for network in _SPECIAL_IPV4)
    return address not in _GLOBAL_IPV6 or any(address in network for network in _SPECIAL_IPV6)
