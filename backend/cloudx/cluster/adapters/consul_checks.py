"""The failing checks of the services that Nomad registered in Consul."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from typing_extensions import override

from cloudx.adapters.consul.catalog import ConsulClient, shown_output
from cloudx.cluster.nomad_ports import Checks, FailingCheck

CHECKS_TIMEOUT_SECONDS = 5.0
# Nomad's ids for the services of its tasks and groups.
_ALLOCATION = re.compile(r"_nomad-task-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-")


class ConsulChecks(Checks):
    """Implements Checks."""

    def __init__(self, address: str, token: Callable[[], str | None]) -> None:
        self._client = ConsulClient(address, token)

    @override
    def failing(self) -> list[FailingCheck]:
        found = [
            check for state in ("critical", "warning") for check in self._ask(f"/v1/health/state/{state}")
            if _ALLOCATION.match(check["ServiceID"])
        ]  # fmt: skip
        return [_failing(check) for check in self._with_outputs(found)]

    def _with_outputs(self, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Read missing outputs from the agent: the catalog may get them `check_update_interval` (5 minutes) later."""
        if all(check["Output"] for check in found):
            return found
        local = self._ask("/v1/agent/checks")
        return [local.get(check["CheckID"], check) for check in found]

    def _ask(self, path: str) -> Any:
        return self._client.ask(path, [], CHECKS_TIMEOUT_SECONDS)[1]()


def _failing(check: dict[str, Any]) -> FailingCheck:
    match = _ALLOCATION.match(check["ServiceID"])
    allocation_id = match[1] if match else ""
    return FailingCheck(allocation_id, check["Node"], check["Name"], shown_output(check["Output"]))
