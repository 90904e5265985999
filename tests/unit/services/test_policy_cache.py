"""The policy is read and parsed once for each change of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

from cloudx.domain.names import ExcludedName
from cloudx.domain.scopes import Exclusion, Scope
from cloudx.domain.targets import parse_targets
from cloudx.services.access.policy import PolicyCache, ScanPolicy
from cloudx.services.ledger.ledger import Policies

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class CountingPolicies:
    """Policies in memory that count how often they are read."""

    at_version: int = 1
    kept_scopes: list[Scope] = field(default_factory=list)
    reads: int = 0

    def version(self) -> int:
        return self.at_version

    def scopes(self) -> list[Scope]:
        self.reads += 1
        return self.kept_scopes

    def exclusions(self) -> list[Exclusion]:
        return []

    def excluded_names(self) -> list[ExcludedName]:
        return []


def exclusion(*targets: str) -> Exclusion:
    return Exclusion("id", targets, "", NOW, "ada", parse_targets(targets).addresses)


def test_a_policy_is_read_again_only_when_its_version_moved() -> None:
    policies, cache = CountingPolicies(), PolicyCache()
    first = cache.current(cast(Policies, policies))
    assert cache.current(cast(Policies, policies)) is first
    assert policies.reads == 1
    policies.at_version += 1
    policies.kept_scopes = [Scope("s", ("10.0.0.0/24",), "ada", "", NOW, "ada")]
    assert cache.current(cast(Policies, policies)).allowed(NOW, {}).size == 256
    assert policies.reads == 2


def test_an_older_transaction_sees_the_policy_of_its_own_version() -> None:
    policies, cache = CountingPolicies(at_version=2), PolicyCache()
    cache.current(cast(Policies, policies))
    policies.at_version = 1
    policies.kept_scopes = [Scope("s", ("10.0.0.0/25",), "ada", "", NOW, "ada")]
    assert cache.current(cast(Policies, policies)).allowed(NOW, {}).size == 128


def test_exclusions_add_up() -> None:
    policy = ScanPolicy((), (exclusion("10.0.0.0/25"), exclusion("10.0.0.64-10.0.0.200", "fd00::1")))
    assert policy.excluded().texts() == ["10.0.0.0-10.0.0.200", "fd00::1"]
    assert policy.excluded() is policy.excluded()
