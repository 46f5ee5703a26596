"""Versions of models in the database: what was trained in one home is known to all who share it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, select

from router.store.writer import INSERTS
from waypost.database.engine import WRITES
from waypost.database.tables import models

Row = dict[str, Any]


def put(engine: Engine, rows: Sequence[Row]) -> None:
    """Writes versions; one that is there has its card and lineage replaced, and keeps the time it was first known."""
    if not rows:
        return
    insert = INSERTS[engine.dialect.name](models)
    told = {name: insert.excluded[name] for name in ("parent", "dataset_hash", "hyperparameters", "card")}
    with engine.execution_options(**WRITES).begin() as connection:
        connection.execute(insert.on_conflict_do_update(index_elements=["name", "version"], set_=told), list(rows))


def versions(engine: Engine) -> list[Row]:
    """All of them, by name and time."""
    with engine.connect() as connection:
        found = connection.execute(select(models).order_by(models.c.name, models.c.created)).mappings()
        return [dict(row) for row in found]
