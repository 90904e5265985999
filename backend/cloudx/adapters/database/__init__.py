"""The ledger on SQLite and PostgreSQL."""

from .engine import engine_for
from .ledger import open_ledger_on
from .upgrade import schema_problem, upgrade

__all__ = ["engine_for", "open_ledger_on", "schema_problem", "upgrade"]
