"""No spelling of an excluded name or of an address that it has passes, in whatever order and beside whatever else."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from cloudx.domain.addresses import Address, AddressSet
from cloudx.domain.identity import excluded_part
from cloudx.domain.names import ExcludedName, Family
from cloudx.domain.scopes import Exclusion
from cloudx.domain.targets import parse_targets
from cloudx.services.access.names_now import NamesNow
from cloudx.services.access.policy import PolicyCache, ScanPolicy
from cloudx.services.access.ports import Resolver
from cloudx.services.scans.resolve_targets import resolve_targets

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LABEL = st.from_regex(r"\A[a-z0-9_]([a-z0-9_-]{0,6}[a-z0-9_])?\Z").filter(lambda label: not label.startswith("xn--"))
INTERNATIONAL = st.sampled_from(["bücher", "xn--bcher-kva", "BÜCHER", "münchen", "例え", "ñandú"])
NAMES = st.builds("{}.{}".format, LABEL | INTERNATIONAL, st.sampled_from(["test", "example.org", "a-b.lan"]))
IPV4 = st.integers(0x0A000000, 0x0AFFFFFF).map(ipaddress.IPv4Address)
IPV6 = st.integers(0xFD << 120, (0xFD << 120) + 0xFFFF).map(ipaddress.IPv6Address)
ADDRESSES = st.lists(IPV4 | IPV6, min_size=1, max_size=4)


class AnyNames(Resolver):
    """Knows every name by its ASCII form; the rest have one address of their own."""

    def __init__(self, answers: dict[str, list[Address]]) -> None:
        self.answers = answers

    @override
    def resolve(self, host_name: str) -> list[Address]:
        return self.answers.get(host_name, [ipaddress.ip_address("192.0.2.1")])


@st.composite
def spellings_of_name(draw: st.DrawFn, name: str) -> str:
    """One way of writing the name that a resolver would take."""
    cased = draw(st.sampled_from([name, name.upper(), name.title()]))
    dotted = cased.replace(".", draw(st.sampled_from([".", "。", "．"]))) if not name.isascii() else cased
    return dotted + draw(st.sampled_from(["", "."]))


@st.composite
def spellings_of_address(draw: st.DrawFn, address: Address) -> str:
    """One way of writing a target that reaches the machine of this address."""
    ways = [str(address), f"{address}/{address.max_prefixlen}", f"{address}-{address}", address.exploded.upper()]
    if isinstance(address, ipaddress.IPv4Address):
        number = int(address)
        ways += [f"::ffff:{address}", f"64:ff9b::{address}", f"::{address}", f"{address}-{str(address).split('.')[3]}"]
        ways.append(str(ipaddress.IPv6Address((0x2002 << 112) + (number << 80) + 1)))
    return draw(st.sampled_from(ways))


def exclusion_of(name: str) -> Exclusion:
    return Exclusion("id", (name,), "", NOW, "ada", AddressSet())


@given(st.data(), NAMES, ADDRESSES, ADDRESSES, NAMES)
def test_no_spelling_of_an_excluded_name_or_of_its_addresses_passes(
    data: st.DataObject, name: str, then: list[Address], now: list[Address], other: str
) -> None:
    """The name had the addresses `then` when it was last looked up by the clock, and has `now` at this moment."""
    (ascii_name,) = parse_targets(name).host_names
    written = data.draw(spellings_of_name(name))
    targets = data.draw(st.permutations([
        written, data.draw(spellings_of_name(other)),
        *(data.draw(spellings_of_address(address)) for address in [*then, *now]),
    ]))  # fmt: skip
    resolver = AnyNames({ascii_name: now})
    policies = PolicyCache(NamesNow(resolver))
    record = ExcludedName(ascii_name, NOW).asked(then, NOW)
    policy = ScanPolicy((), (exclusion_of(data.draw(spellings_of_name(name))),), (record,))
    asked = resolve_targets(resolver, targets, (), data.draw(st.sampled_from([None, Family.BOTH])))
    excluded = policies.excluded(policy, asked.host_names, (), 30.0)
    kept = asked.addresses - excluded_part(asked.addresses, excluded)
    assert kept == kept & AddressSet.of_addresses([ipaddress.ip_address("192.0.2.1")]), kept.texts()


@given(st.data(), NAMES, ADDRESSES)
def test_no_spelling_passes_a_scan_s_own_exclusion(data: st.DataObject, name: str, addresses: list[Address]) -> None:
    (ascii_name,) = parse_targets(name).host_names
    targets = [data.draw(spellings_of_name(name)), *(data.draw(spellings_of_address(one)) for one in addresses)]
    exclude = [data.draw(spellings_of_name(name))]
    asked = resolve_targets(AnyNames({ascii_name: addresses}), targets, exclude)
    assert not asked.addresses - excluded_part(asked.addresses, asked.excluded)


@given(st.data(), NAMES, ADDRESSES, ADDRESSES)
def test_a_target_of_an_excluded_name_passes_by_no_answer_of_the_name_server(
    data: st.DataObject, name: str, at_submit: list[Address], at_exclusion: list[Address]
) -> None:
    (ascii_name,) = parse_targets(name).host_names
    asked = resolve_targets(AnyNames({ascii_name: at_submit}), [data.draw(spellings_of_name(name))], ())
    record = ExcludedName(ascii_name, NOW).asked(at_exclusion, NOW)
    policy = ScanPolicy((), (exclusion_of(data.draw(spellings_of_name(name))),), (record,))
    assert not asked.addresses - excluded_part(asked.addresses, policy.excluded(asked.host_names))
    own = ScanPolicy((), (), (record,)).excluded(asked.host_names, (ascii_name,))
    assert not asked.addresses - excluded_part(asked.addresses, own)
