"""What is removed: rows that are too old, and those of somebody who is to be forgotten.

Rows go in small transactions, so that the writer never waits long.  In SQLite what was deleted is overwritten, and
leaves the write-ahead log too; PostgreSQL keeps the bytes of deleted rows in its files until a vacuum has made their
room free and others have used it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, Table, delete, select

from waypost.database.engine import WRITES
from waypost.database.tables import audit, feedback, model_inferences, rollouts

KEPT_FOR_A_TIME = (model_inferences, feedback, audit, rollouts)
OF_TENANTS = (model_inferences, feedback, audit)
CHUNK = 2000


def expire(engine: Engine, before: datetime) -> int:
    """Deletes rows from before that moment; how many."""
    removed = sum(_delete(engine, table, table.c.time < before) for table in KEPT_FOR_A_TIME)
    if removed:
        scrub(engine)
    return removed


def forget(engine: Engine, tenants: Iterable[str]) -> int:
    """Deletes the rows of a tenant, under any of its names; how many."""
    names = list(tenants)
    removed = sum(_delete(engine, table, table.c.tenant.in_(names)) for table in OF_TENANTS)
    scrub(engine)
    return removed


def _delete(engine: Engine, table: Table, which: ColumnElement[bool]) -> int:
    some = delete(table).where(table.c.id.in_(select(table.c.id).where(which).limit(CHUNK)))
    removed = 0
    while True:
        with engine.execution_options(**WRITES).begin() as connection:
            found = connection.execute(some).rowcount
        removed += found
        if found < CHUNK:
            return removed


def scrub(engine: Engine) -> None:
    """Makes sure that nothing deleted is left in SQLite's files, and gives their room back."""
    if engine.dialect.name != "sqlite":
        return
    with closing(engine.raw_connection()) as connection:  # outside of a transaction
        connection.cursor().executescript(
            "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);"
        )
