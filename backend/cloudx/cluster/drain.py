"""Drain a machine: move its work elsewhere before it is taken down, and bring it back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cloudx.domain.errors import InvalidInput, NotFound

from .nomad_ports import Allocation, Machines, MachineState

LOOK_SECONDS = 0.5
_LIVE = ("pending", "running")


@dataclass(frozen=True)
class DrainProgress:
    """A drain at one moment: the allocations that are left, and how many there were."""

    machine: MachineState
    left: tuple[Allocation, ...]
    total: int


@dataclass(frozen=True)
class DrainNode:
    """The use case of `cloudx cluster drain`."""

    machines: Machines
    rest: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def find(self, name: str) -> MachineState:
        """The machine of this name or id; of several the one that is up. Raises NotFound or InvalidInput."""
        found = _living(self.machines.find(name))
        if not found:
            raise NotFound(f"Nomad knows no machine {name!r}. `cloudx cluster status` lists them.")
        if len(found) > 1:
            candidates = ", ".join(f"{machine.name} {machine.id}" for machine in found[:5])
            raise InvalidInput("node", f"{name!r} may be any of: {candidates}. Give the whole id.")
        return found[0]

    def drain(
        self, machine: MachineState, deadline_seconds: float, show: Callable[[DrainProgress], None]
    ) -> DrainProgress:
        """Drain a machine, and show its progress until nothing is left and Nomad has ended the drain."""
        total = len(self._left(machine.id))
        self.machines.drain(machine.id, deadline_seconds)
        # What the deadline stops has its kill_timeout on top, and Nomad looks at it only from time to time.
        given_up_at = self.clock() + deadline_seconds + 60
        while True:
            left = self._left(machine.id)
            progress = DrainProgress(self.machines.state(machine.id), left, max(total, len(left)))
            show(progress)
            has_ended = not progress.machine.is_draining and (not left or progress.machine.is_eligible)
            if has_ended or self.clock() > given_up_at:
                return progress
            self.rest(LOOK_SECONDS)

    def restore(self, machine: MachineState) -> MachineState:
        """End the machine's drain and let it take work again."""
        self.machines.restore(machine.id)
        return self.machines.state(machine.id)

    def _left(self, node_id: str) -> tuple[Allocation, ...]:
        found = self.machines.allocations(node_id)
        return tuple(allocation for allocation in found if allocation.status in _LIVE)


def _living(found: list[MachineState]) -> list[MachineState]:
    """A VPS that lost its data comes back under its name with a new id; Nomad remembers the old one as down."""
    up = [machine for machine in found if machine.status == "ready"]
    return up if len(up) == 1 else found


def has_drained(progress: DrainProgress) -> bool:
    """True if the machine is empty and gets no work: it is safe to take down."""
    return not progress.left and not progress.machine.is_draining and not progress.machine.is_eligible
