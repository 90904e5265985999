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
    """A drain at one moment: what is still there, of how many at its start."""

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
        """The one machine meant. Raises NotFound or InvalidInput."""
        found = self.machines.find(name)
        if not found:
            raise NotFound(f"Nomad knows no machine {name!r}. `cloudx cluster status` lists them.")
        if len(found) > 1:
            listed = ", ".join(f"{machine.name} {machine.id}" for machine in found[:5])
            raise InvalidInput("node", f"{name!r} may be any of: {listed}. Give the whole id.")
        return found[0]

    def drain(
        self, machine: MachineState, deadline_seconds: float, show: Callable[[DrainProgress], None]
    ) -> DrainProgress:
        """Begin, and watch until nothing is left and Nomad says that it is through."""
        total = len(self._left(machine.id))
        self.machines.drain(machine.id, deadline_seconds)
        # What the deadline stops has its kill_timeout on top, and Nomad looks only now and then.
        given_up_at = self.clock() + deadline_seconds + 60
        while True:
            left = self._left(machine.id)
            progress = DrainProgress(self.machines.state(machine.id), left, max(total, len(left)))
            show(progress)
            is_through = not progress.machine.is_draining and (not left or progress.machine.is_eligible)
            if is_through or self.clock() > given_up_at:
                return progress
            self.rest(LOOK_SECONDS)

    def restore(self, machine: MachineState) -> MachineState:
        """End its drain and let it take work again."""
        self.machines.restore(machine.id)
        return self.machines.state(machine.id)

    def _left(self, node_id: str) -> tuple[Allocation, ...]:
        return tuple(each for each in self.machines.allocations(node_id) if each.status in _LIVE)


def has_drained(progress: DrainProgress) -> bool:
    """True when the machine is empty and stays out of scheduling: safe to take down."""
    return not progress.left and not progress.machine.is_draining and not progress.machine.is_eligible
