"""The scopes and exclusions in force, parsed once for each change of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from cloudx.domain.addresses import AddressSet
from cloudx.domain.scopes import Exclusion, Scope, authorised

from .ports import Policies


@dataclass(frozen=True)
class ScanPolicy:
    """What may be probed at all."""

    scopes: tuple[Scope, ...]
    exclusions: tuple[Exclusion, ...]

    def allowed(self, now: datetime, named: dict[str, str]) -> AddressSet:
        """The addresses live scopes authorise."""
        return authorised(list(self.scopes), now, named)

    def excluded(self) -> AddressSet:
        """The addresses nothing may probe."""
        taken_out = AddressSet()
        for exclusion in self.exclusions:
            taken_out = taken_out | exclusion.addresses
        return taken_out


@dataclass
class PolicyCache:
    """Re-reads the policy only when its version in the ledger has moved."""

    _version: int = -1
    _policy: ScanPolicy = field(default_factory=lambda: ScanPolicy((), ()))

    def current(self, policies: Policies) -> ScanPolicy:
        """The policy as of this transaction."""
        version = policies.version()
        if version != self._version:
            self._policy = ScanPolicy(tuple(policies.scopes()), tuple(policies.exclusions()))
            self._version = version
        return self._policy
