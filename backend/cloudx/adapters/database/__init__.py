"""The ledger on SQLite and PostgreSQL."""

from cloudx.adapters.database.connection.engine import engine_for
from cloudx.adapters.database.connection.rotating_engine import RotatingEngine
from cloudx.adapters.database.schema.upgrade import schema_problem, upgrade

from .ledger import open_ledger_on

__all__ = ["RotatingEngine", "engine_for", "open_ledger_on", "schema_problem", "upgrade"]
