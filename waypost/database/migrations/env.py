"""What Alembic runs: revisions on the connection that `waypost.database.migrate` brings."""

from alembic import context

from waypost.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite can, since we begin its transactions ourselves
)
with context.begin_transaction():
    context.run_migrations()
