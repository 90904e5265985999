"""Alembic's entry: always on the connection that upgrade.py hands over, inside its transaction."""

from alembic import context

from cloudx.adapters.database.schema.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,
)
context.run_migrations()
