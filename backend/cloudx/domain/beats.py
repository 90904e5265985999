"""How often nodes beat, and from when on their silence tells something.

A large fleet beats more slowly, so that its beats cost the same, as Nomad's clients do (its max_heartbeats_per_second).
"""

from __future__ import annotations

from .backoff import Backoff

HEARTBEAT_SECONDS = 5.0
MAX_BEATS_A_SECOND = 30.0  # of all nodes together
LONGEST_SECONDS = 600.0  # a fleet of 18,000
# How late a beat may be: for a stall of the network, and for an instance of the API that is replaced.
LATE_SECONDS, GONE_SECONDS = 10.0, 25.0
# Most failures last for a moment: an instance of the API died, or a packet was lost.
BEAT_RETRY = Backoff(first_seconds=1.0, longest_seconds=2.0)
MAX_QUICK_RETRIES = 2


def beat_seconds(nodes: int) -> float:
    """How long a node of so large a fleet waits between two beats."""
    return max(HEARTBEAT_SECONDS, nodes / MAX_BEATS_A_SECOND)


def believed_seconds(told_seconds: float) -> float:
    """What a node takes of what it was told: a primary that errs neither floods itself nor silences its fleet."""
    return max(HEARTBEAT_SECONDS, min(LONGEST_SECONDS, told_seconds))


def seconds_to_next_beat(failures: int, told_seconds: float) -> float:
    """How long a node waits after so many failures in a row: a few quick retries, then as long as it was told."""
    return BEAT_RETRY.seconds_after(failures) if 1 <= failures <= MAX_QUICK_RETRIES else told_seconds
