"""What is removed: rows that are too old, and those of somebody who is to be forgotten.

Rows go in small transactions, so that the writer never waits long; their bytes go with `scrub`.  In SQLite what was
deleted is overwritten, and leaves the write-ahead log too.  PostgreSQL's plain vacuum leaves the bytes where they are
until others have used their room, so tables are written anew (`VACUUM FULL`), while everybody waits who reads or writes
the table: lines do so in the journal.  Its write-ahead log has them until its segments are used again, which is not for
us to bring about.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Set
from contextlib import closing
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, Table, delete, func, select

from waypost.database.engine import WRITES
from waypost.database.tables import audit, feedback, model_inferences, rollouts

KEPT_FOR_A_TIME = (model_inferences, feedback, audit, rollouts)
OF_TENANTS = (model_inferences, feedback, audit)
CHUNK = 2000
LOCK_S = 10
"""So long PostgreSQL may wait for those who use a table that is to be written anew; meanwhile others wait behind it."""

Removed = dict[Table, int]
"""How many rows were deleted, of the tables that had some."""


def expire(engine: Engine, before: datetime) -> Removed:
    """Deletes rows from before that moment; their bytes are left to `scrub`."""
    return _found({table: _delete(engine, table, table.c.time < before) for table in KEPT_FOR_A_TIME})


def forget(engine: Engine, tenants: Iterable[str]) -> int:
    """Deletes the rows of a tenant, under any of its names, for good; how many."""
    names = list(tenants)
    removed = _found({table: _delete(engine, table, table.c.tenant.in_(names)) for table in OF_TENANTS})
    scrub(engine, removed.keys())
    return sum(removed.values())


def _found(removed: Removed) -> Removed:
    return {table: rows for table, rows in removed.items() if rows}


def _delete(engine: Engine, table: Table, which: ColumnElement[bool]) -> int:
    some = delete(table).where(table.c.id.in_(select(table.c.id).where(which).limit(CHUNK)))
    removed = 0
    while True:
        with engine.execution_options(**WRITES).begin() as connection:
            found = connection.execute(some).rowcount
        removed += found
        if found < CHUNK:
            return removed


def scrub(engine: Engine, tables: Set[Table], most_bytes: float = math.inf) -> set[Table]:
    """Makes sure that nothing deleted is left in the files of these tables, and gives its room back.

    Returns:
        tables that were left as they are, since they are larger than `most_bytes` and are written anew as a whole.

    Raises:
        sqlalchemy.exc.OperationalError: the database is away, or somebody uses a table for too long.
    """
    if not tables:
        return set()
    if engine.dialect.name == "sqlite":
        _overwrite(engine)
        return set()
    return {table for table in tables if not _write_anew(engine, table, most_bytes)}


def _overwrite(engine: Engine) -> None:
    with closing(engine.raw_connection()) as connection:  # outside of a transaction
        connection.cursor().executescript(
            "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);"
        )


def _write_anew(engine: Engine, table: Table, most_bytes: float) -> bool:
    """Whether it was; else only its room is free for others."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        size = connection.scalar(select(func.pg_total_relation_size(table.name))) or 0
        connection.exec_driver_sql(f"SET lock_timeout = '{LOCK_S}s'")
        try:
            connection.exec_driver_sql(f"VACUUM {'(FULL)' if size <= most_bytes else ''} {table.name}")
        finally:
            connection.invalidate()  # Its setting ends with it.
    return bool(size <= most_bytes)
