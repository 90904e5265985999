"""The targets and exclusions of a request, every name resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cloudx.domain.addresses import Address, AddressSet
from cloudx.domain.errors import InvalidInput
from cloudx.domain.names import Family, HostNames, asked_by, of_family
from cloudx.domain.targets import parse_targets
from cloudx.services.access.ports import Resolver
from cloudx.services.access.resolve_names import NAMES_SECONDS, Answers, listed, require_answers, resolve_names

NAMED_IN_WARNINGS = 1000  # of those skipped
_ADDRESS = {None: "address", Family.BOTH: "address", Family.IPV4: "IPv4 address", Family.IPV6: "IPv6 address"}


@dataclass(frozen=True)
class ResolvedTargets:
    """What is to be scanned, and what the request itself excludes."""

    addresses: AddressSet
    host_names: HostNames
    excluded: AddressSet
    excluded_names: Answers  # every name of the request's `exclude` has an address
    warnings: tuple[str, ...]


def resolve_targets(
    resolver: Resolver,
    targets: Sequence[str],
    exclude: Sequence[str],
    family: Family | None = None,
    skip_unresolved: bool = False,
) -> ResolvedTargets:
    """Read targets and exclusions, and resolve their names side by side.

    A name in `exclude` means every address it has, of both families, and every target of that name.
    Raises InvalidInput naming all names that have no address, or DependencyUnavailable naming all without an answer.
    With `skip_unresolved` the targets go on without theirs; an exclusion never does.
    """
    asked, left_out = parse_targets(targets), parse_targets(exclude, "exclude")
    answers = resolve_names(resolver, [*asked.host_names, *left_out.host_names], NAMES_SECONDS)
    chosen = _choose(_only(answers, asked.host_names), family)
    excluded_names = _only(answers, left_out.host_names)
    _require(chosen.answers, excluded_names, family, skip_unresolved)
    addresses = asked.addresses | AddressSet.of_texts(chosen.host_names)
    if not addresses:
        raise InvalidInput("target", _nothing_to_scan(chosen.answers), host_names=list(chosen.answers.dead))
    return ResolvedTargets(
        addresses,
        chosen.host_names,
        left_out.addresses | _all_of(excluded_names) | asked_by(chosen.host_names, left_out.host_names),
        excluded_names,
        tuple(_warnings(chosen)),
    )


@dataclass
class _Chosen:
    """The names of the targets with those of their addresses that are scanned."""

    answers: Answers
    host_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    left_out_ipv6: list[str] = field(default_factory=list)
    scanned_by_ipv6: list[str] = field(default_factory=list)  # they have nothing else, and no family was asked for

    def add(self, name: str, addresses: Sequence[Address]) -> None:
        for text in map(str, addresses):
            self.host_names[text] = (*self.host_names.get(text, ()), name)


def _choose(answers: Answers, family: Family | None) -> _Chosen:
    """Those of the family; where none was asked for, IPv4 if a name has it and else IPv6."""
    chosen = _Chosen(answers)
    found, dead = dict[str, tuple[Address, ...]](), list(answers.dead)
    for name, addresses in answers.found.items():
        wanted = of_family(addresses, family or Family.IPV4)
        ipv6 = of_family(addresses, Family.IPV6)
        if wanted and ipv6 and family in (None, Family.IPV4):
            chosen.left_out_ipv6.append(name)
        elif not wanted and family is None:
            wanted = ipv6
            chosen.scanned_by_ipv6.append(name)
        if wanted:
            found[name] = addresses
            chosen.add(name, wanted)
        else:
            dead.append(name)
    chosen.answers = Answers(found, tuple(dead), answers.silent)
    return chosen


def _require(targets: Answers, exclude: Answers, family: Family | None, skip_unresolved: bool) -> None:
    unresolved = Answers({}) if skip_unresolved else Answers({}, targets.dead, targets.silent)
    is_targets = bool(unresolved.dead or (unresolved.silent and not exclude.dead))
    both = Answers({}, _together(unresolved.dead, exclude.dead), _together(unresolved.silent, exclude.silent))
    kind = _ADDRESS[family] if is_targets else "address"
    require_answers(both, "target" if is_targets else "exclude", kind)


def _together(names: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*names, *more)))


def _only(answers: Answers, names: Sequence[str]) -> Answers:
    dead, silent = frozenset(answers.dead), frozenset(answers.silent)
    found = {name: answers.found[name] for name in names if name in answers.found}
    return Answers(found, tuple(n for n in names if n in dead), tuple(n for n in names if n in silent))


def _all_of(answers: Answers) -> AddressSet:
    return AddressSet.of_addresses(address for addresses in answers.found.values() for address in addresses)


def _nothing_to_scan(answers: Answers) -> str:
    if not (gone := (*answers.dead, *answers.silent)):
        return "No target given. Name at least one address, CIDR, range or host name."
    return f"No host name has an address: {listed(gone)}. Check the spelling, or give addresses."


def _warnings(chosen: _Chosen) -> list[str]:
    """A sentence for each kind of name that was not taken whole."""
    kinds = (
        (chosen.answers.dead, "not scanned: no address", "Check the spelling, or leave them out."),
        (chosen.answers.silent, "not scanned: no answer of a name server", "Scan them again later."),
        (chosen.left_out_ipv6, "scanned by IPv4 alone, with IPv6 too", 'Ask for the family "both" to scan all.'),
        (chosen.scanned_by_ipv6, "scanned by IPv6: no IPv4 address", "All their addresses are scanned."),
    )
    return [
        f"{len(names):,} host name{'' if len(names) == 1 else 's'} {what}: {listed(names, NAMED_IN_WARNINGS)}. {remedy}"
        for names, what, remedy in kinds
        if names
    ]
