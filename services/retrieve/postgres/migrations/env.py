"""What Alembic runs: revisions on the connection that `services.retrieve.postgres.migrate` brings."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="documents_version",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
