"""Brings a database to the last revision, by whoever opens it first; the others wait.

Revisions are Alembic's, in `migrations/versions`: a new one is a file there with the next number.  All of them run in
one transaction, so that a crash leaves the database as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock
from sqlalchemy import Connection, Engine, text

from waypost.database.engine import WRITES

LOCK = 0x57415950
"""Of PostgreSQL's advisory locks, the one that means revisions."""


class DatabaseTooNew(RuntimeError):
    """Raised where a later Waypost was here before, whose tables this one does not know."""

    def __init__(self, revision: str | None) -> None:
        super().__init__(f"the database is at revision {revision}, which this Waypost does not know: use a newer one")


def upgrade(engine: Engine) -> None:
    """Makes the tables, or brings them up to date; a look where there is nothing to do.

    Raises:
        DatabaseTooNew: a later Waypost was here before.
        sqlalchemy.exc.OperationalError: the database is away.
    """
    scripts = ScriptDirectory.from_config(_config())
    if _revision(engine, scripts) == scripts.get_current_head():
        return
    with _alone(engine) as connection:
        command.upgrade(_config(connection), "head")


def _revision(engine: Engine, scripts: ScriptDirectory) -> str | None:
    with engine.connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
    if revision and revision not in {each.revision for each in scripts.walk_revisions()}:
        raise DatabaseTooNew(revision)
    return revision


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction beside which nobody else runs revisions."""
    if engine.dialect.name == "sqlite":
        with FileLock(f"{engine.url.database}.lock"), engine.execution_options(**WRITES).begin() as connection:
            yield connection
        return
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        yield connection


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", "waypost.database:migrations")
    config.attributes["connection"] = connection
    return config
