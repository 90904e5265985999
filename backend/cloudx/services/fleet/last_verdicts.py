"""Tell a check of Consul's that has not run yet from one that failed. Pure but for LastVerdicts.

A Consul agent that restarts publishes each of its checks as critical, without a word, until the check has run
(findings/consul-restart-turns-checks-critical.sh). Such a check keeps its last verdict, for a bounded time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from cloudx.domain.nodes import Check, CheckStatus

from .ports import NodeInstance

# The slowest check's interval and time-out, and as long as an agent may keep an output back (check_update_interval).
UNRUN_SECONDS = 30.0
MEMORY_SECONDS = 300.0  # an agent that leaves in order takes its checks out of the catalog until it is back
LATE = (
    f"it has not run for {UNRUN_SECONDS:.0f} s. See on that machine whether its Consul agent reaches the node agent: "
    "`consul monitor`, `nomad job status node`"
)

Key = tuple[str, str]  # the node's id and the check's: a check of a replaced agent is about the same machine


@dataclass(frozen=True)
class Verdict:
    """What a check said when it last ran (None: not in our time); when it was last listed; since when it is not run."""

    check: Check | None
    listed_at: float
    unrun_since: float | None = None


def has_not_run(check: Check) -> bool:
    """Whether this is what Consul shows before a check's first run: every check that ran has an output."""
    return check.status is CheckStatus.CRITICAL and not check.output


def remember(instances: tuple[NodeInstance, ...], before: Mapping[Key, Verdict], now: float) -> dict[Key, Verdict]:
    """The verdicts after an answer that came at `now`, by a monotonic clock, in seconds."""
    after = {key: verdict for key, verdict in before.items() if now - verdict.listed_at <= MEMORY_SECONDS}
    for key, check in _keyed(instances):
        if has_not_run(check):
            known = after.get(key)
            since = known.unrun_since if known else None
            after[key] = Verdict(known.check if known else None, now, now if since is None else since)
    # After the others: while an agent is replaced, one of two instances may have run.
    after |= {key: Verdict(check, now) for key, check in _keyed(instances) if not has_not_run(check)}
    return after


def _keyed(instances: tuple[NodeInstance, ...]) -> Iterator[tuple[Key, Check]]:
    for instance in instances:
        for check in instance.checks:
            yield (instance.node_id, check.id), check


def settle(instance: NodeInstance, verdicts: Mapping[Key, Verdict], now: float) -> NodeInstance:
    """The instance as it is to be judged: a check without a verdict is left out, and then it is not settled."""
    if not any(map(has_not_run, instance.checks)):
        return instance
    judged = [_judged(check, verdicts[instance.node_id, check.id], now) for check in instance.checks]
    known = tuple(check for check in judged if check is not None)
    return replace(instance, checks=known, is_settled=len(known) == len(judged))


def _judged(check: Check, verdict: Verdict, now: float) -> Check | None:
    if not has_not_run(check):
        return check
    if verdict.unrun_since is not None and now - verdict.unrun_since > UNRUN_SECONDS:
        return replace(check, output=LATE)
    return verdict.check


@dataclass(frozen=True)
class _Memory:
    verdicts: dict[Key, Verdict]
    last: tuple[NodeInstance, ...] = ()
    has_run: bool = True  # every check of the last answer


class LastVerdicts:
    """Remembers across answers. Threads may share it: the memory is replaced whole."""

    def __init__(self) -> None:
        self._memory = _Memory({})

    def settled(self, instances: tuple[NodeInstance, ...], now: float) -> tuple[NodeInstance, ...]:
        """The instances as they are to be judged at `now`, by a monotonic clock, in seconds."""
        memory = self._memory
        if instances is memory.last and memory.has_run:
            return instances
        held_until_now = remember(memory.last, memory.verdicts, now)
        verdicts = remember(instances, held_until_now, now)
        settled = tuple(settle(instance, verdicts, now) for instance in instances)
        has_run = all(one is other for one, other in zip(settled, instances, strict=True))
        self._memory = _Memory(verdicts, instances, has_run)
        return instances if has_run else settled
