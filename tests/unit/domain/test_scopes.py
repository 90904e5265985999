"""Scopes: what they allow, until when, and the error that says how to add one."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest

from cloudx.domain.addresses import AddressSet
from cloudx.domain.errors import TargetOutOfScope
from cloudx.domain.names import HostNames
from cloudx.domain.scopes import DEFAULT_SCOPE_TARGETS, Scope, require_in_scope, union_of, with_names
from cloudx.domain.targets import parse_targets
from cloudx.services.access.policy import ScanPolicy

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def scope(*targets: str, expires_in: float | None = None, name: str = "s") -> Scope:
    expires_at = None if expires_in is None else NOW + timedelta(seconds=expires_in)
    return Scope(name, targets, "ada", "", NOW, "ada", expires_at)


def allowed(*scopes: Scope, named: HostNames | None = None) -> list[str]:
    return ScanPolicy(scopes, ()).allowed(NOW, named or {}).texts()


def test_live_scopes_add_up_and_expired_ones_do_not_count() -> None:
    live = scope("10.0.0.0/25", expires_in=1)
    more = scope("10.0.0.128/25", name="t")
    assert allowed(live, more, scope("8.8.8.8", expires_in=0), scope("9.9.9.9", expires_in=-1)) == [
        "10.0.0.0-10.0.0.255"
    ]
    assert allowed() == []


def test_a_scope_that_expires_between_two_claims_is_gone_at_the_second() -> None:
    policy = ScanPolicy((scope("10.0.0.0/24", expires_in=10),), ())
    assert policy.allowed(NOW + timedelta(seconds=9), {}).size == 256
    assert policy.allowed(NOW + timedelta(seconds=10), {}).size == 0


def test_a_name_allows_the_addresses_it_was_resolved_to_for_this_scan_alone() -> None:
    by_name = scope("www.example", "10.0.0.1")
    named = {"198.51.100.7": ("www.example",), "198.51.100.8": ("other.example",)}
    assert allowed(by_name, named=named) == ["10.0.0.1", "198.51.100.7"]
    assert allowed(by_name) == ["10.0.0.1"]
    assert with_names(union_of([]), named).size == 0


@pytest.mark.parametrize(
    ("target", "inside"),
    [("127.0.0.1", True), ("10.255.255.255", True), ("172.16.0.1", True), ("172.32.0.0", False), ("192.168.9.9", True),
     ("::1", True), ("fd00::1", True), ("fe80::1", False), ("8.8.8.8", False), ("100.64.0.1", False),
     ("0.0.0.0", False),
     ("169.254.169.254", False), ("::ffff:8.8.8.8", False), ("224.0.0.1", False), ("255.255.255.255", False)],
)  # fmt: skip
def test_a_fresh_install_may_scan_loopback_and_private_ranges_alone(target: str, inside: bool) -> None:
    permitted = ScanPolicy((scope(*DEFAULT_SCOPE_TARGETS),), ()).allowed(NOW, {})
    assert (ipaddress.ip_address(target) in permitted) is inside


def test_what_is_outside_is_named_with_the_command_that_adds_it() -> None:
    targets = parse_targets("10.0.0.1 8.8.8.0/30 1.1.1.1 9.9.9.9 5.5.5.5 6.6.6.6 7.7.7.7").addresses
    with pytest.raises(TargetOutOfScope) as caught:
        require_in_scope(targets, parse_targets("10.0.0.0/8").addresses)
    assert caught.value.details["outside"] == ["1.1.1.1", "5.5.5.5", "6.6.6.6", "7.7.7.7", "8.8.8.0-8.8.8.3"]
    assert "cloudx scopes add 1.1.1.1 --owner" in caught.value.message
    require_in_scope(AddressSet(), AddressSet())
