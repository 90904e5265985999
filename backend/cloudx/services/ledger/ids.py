"""Identifiers that sort by the time they were made (RFC 9562, UUID version 7)."""

from __future__ import annotations

import os
import time
import uuid
from datetime import datetime


def new_id() -> str:
    """A fresh UUIDv7, so that "newest first" is the primary key backwards."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = milliseconds << 80 | 0x7 << 76 | (random >> 68 & 0xFFF) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    return str(uuid.UUID(int=value))


def first_id_at(moment: datetime) -> str:
    """The smallest id that `new_id` could have made then: all smaller ones are older."""
    return str(uuid.UUID(int=int(moment.timestamp() * 1000) << 80))
