"""Everything that is checked of this machine, as its reports and its own claims go by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from cloudx.domain.nodes import Check, CheckStatus, Preflight

log = structlog.get_logger()

RateCheck = Callable[[], tuple[int | None, Check]]


@dataclass
class MachineChecks:
    """`look` is the preflight (tools, raw sockets, interface); the others are cheap enough to be asked each time."""

    look: Callable[[], Preflight]
    send_rate: RateCheck
    others: tuple[Callable[[], Check], ...]
    _said: str | None = field(default=None, init=False)

    def __call__(self) -> Preflight:
        """All of it, for a registration."""
        preflight = self.look()
        rate_limit_pps, rate_check = self.send_rate()
        checks = (*preflight.checks, rate_check, *(check() for check in self.others))
        return replace(preflight, checks=checks, rate_limit_pps=rate_limit_pps)

    def is_fit(self) -> bool:
        """False while something keeps this machine from every scan; a change is logged, with the reason."""
        reason = next((c.output for check in self.others if (c := check()).status is CheckStatus.CRITICAL), None)
        if reason != self._said:
            self._said = reason
            if reason:
                log.warning("worker.unfit", reason=reason)
            else:
                log.info("worker.fit_again")
        return reason is None
