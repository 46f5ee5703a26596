"""The tables of documents, brought to the last revision by whoever opens them first.

They have revisions of their own beside those of `waypost.database`, which may be in the same database: documents need
pgvector, and the log of calls must not.
"""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

LOCK = 0x57415944
"""Of PostgreSQL's advisory locks, the one that means these revisions."""


def upgrade(engine: Engine) -> None:
    """Makes the tables, or brings them up to date; what is up to date is left as it is."""
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        command.upgrade(_config(connection), "head")


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "services.retrieve.postgres:migrations")
    config.attributes["connection"] = connection
    return config
