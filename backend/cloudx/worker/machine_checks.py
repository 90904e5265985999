"""All checks of this machine, for its reports and for its own claims."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from cloudx.domain.nodes import Check, CheckStatus, Preflight

log = structlog.get_logger()

RateCheck = Callable[[], tuple[int | None, Check]]


@dataclass
class MachineChecks:
    """`look` is the preflight (tools, raw sockets, interface); the others are cheap enough to run each time."""

    look: Callable[[], Preflight]
    send_rate: RateCheck
    others: tuple[Callable[[], Check], ...]
    _logged_reason: str | None = field(default=None, init=False)

    def __call__(self) -> Preflight:
        """All of it, for a registration."""
        preflight = self.look()
        rate_limit_pps, rate_check = self.send_rate()
        checks = (*preflight.checks, rate_check, *(check() for check in self.others))
        return replace(preflight, checks=checks, rate_limit_pps=rate_limit_pps)

    def is_fit(self) -> bool:
        """False while a check keeps this machine from every scan; a change is logged with its reason."""
        reason = next((c.output for check in self.others if (c := check()).status is CheckStatus.CRITICAL), None)
        if reason != self._logged_reason:
            self._logged_reason = reason
            if reason:
                log.warning("worker.unfit", reason=reason)
            else:
                log.info("worker.fit_again")
        return reason is None
