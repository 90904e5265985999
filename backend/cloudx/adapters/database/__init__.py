"""The ledger on SQLite and PostgreSQL."""

from .engine import engine_for
from .ledger import open_ledger_on
from .rotating_engine import RotatingEngine
from .upgrade import schema_problem, upgrade

__all__ = ["RotatingEngine", "engine_for", "open_ledger_on", "schema_problem", "upgrade"]
