"""An entry of the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class AuditEntry:
    """One change: who made it, when by the database's clock, and to what; `detail` depends on the action."""

    id: str
    at: datetime
    principal: str
    role: str
    action: str
    subject: str
    detail: dict[str, Any]
