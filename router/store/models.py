"""Versions of models in the database: what was trained in one home, or is served, is known to all who share it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from router.store.writer import INSERTS, words
from waypost.database.engine import WRITES
from waypost.database.tables import models

log = structlog.get_logger()

LOOK_S = 2.0
"""It is seen so often whether there are new versions."""

Row = dict[str, Any]
Told = Mapping[str, Any]
"""A model as the router's status has it."""


def put(engine: Engine, rows: Sequence[Row]) -> None:
    """Writes versions; one that is there has its card and lineage replaced, and keeps the time it was first known."""
    if not rows:
        return
    insert = INSERTS[engine.dialect.name](models)
    told = {name: insert.excluded[name] for name in ("parent", "dataset_hash", "hyperparameters", "card")}
    with engine.execution_options(**WRITES).begin() as connection:
        connection.execute(insert.on_conflict_do_update(index_elements=["name", "version"], set_=told), list(rows))


def add(engine: Engine, rows: Sequence[Row]) -> None:
    """Writes versions that are not there yet: of those that are, more is known."""
    insert = INSERTS[engine.dialect.name](models).on_conflict_do_nothing()
    with engine.execution_options(**WRITES).begin() as connection:
        connection.execute(insert, list(rows))


def versions(engine: Engine) -> list[Row]:
    """All of them, by name and time."""
    with engine.connect() as connection:
        found = connection.execute(select(models).order_by(models.c.name, models.c.created)).mappings()
        return [dict(row) for row in found]


class Registrar:
    """Adds the versions that a router serves, as they come.

    Args:
        told: the models that are served now.
        ready: whether the tables are there.
    """

    def __init__(
        self,
        engine: Engine,
        told: Callable[[], Sequence[Told]],
        ready: Callable[[], bool],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine = engine
        self._told = told
        self._ready = ready
        self._clock = clock
        self._known: set[tuple[str, str]] = set()

    def run(self, stop: threading.Event) -> None:
        """Looks until `stop` is set; while the database is away, again and again."""
        while not stop.wait(LOOK_S):
            self.look()

    def look(self) -> None:
        """Once."""
        if not self._ready():
            return
        try:
            self._add({_key(each): each for each in self._told() if _key(each) not in self._known})
        except RuntimeError:  # the router is leaving; whoever comes after it looks again
            log.debug("the router is gone")
        except SQLAlchemyError as error:
            log.warning("models not written", error=words(error))

    def _add(self, new: Mapping[tuple[str, str], Told]) -> None:
        if new:
            add(self._engine, [self._row(each) for each in new.values()])
            self._known |= new.keys()

    def _row(self, told: Told) -> Row:
        nothing = dict.fromkeys(("parent", "dataset_hash", "hyperparameters"))
        return {
            "name": told["name"],
            "version": told["version"],
            "created": self._clock(),
            "card": dict(told),
        } | nothing


def _key(told: Told) -> tuple[str, str]:
    return told["name"], told["version"]
