"""The ledger on SQLite and PostgreSQL."""

from .engine import engine_for
from .ledger import open_ledger_on
from .upgrade import upgrade

__all__ = ["engine_for", "open_ledger_on", "upgrade"]
