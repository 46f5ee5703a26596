"""The ledger of a database, as it is after all: lines, totals, and whether they agree."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import psycopg

from waypost.database.engine import BUSY_MS

UNDER_WAY = 0
LOST = 5
LINES = "SELECT request_id, tenant, model, reserved, cost, outcome FROM {schema}calls"
TOTALS = "SELECT kind, tenant, model, spent, reserved FROM {schema}totals"
TIME_PASSES = "UPDATE {schema}calls SET expires = 0 WHERE outcome = 0"
"""As if the deadline of every call under way were long over."""


@dataclass(frozen=True)
class Line:
    """A priced call; money in nano-dollars."""

    request: str
    tenant: str
    model: str
    reserved: int
    cost: int
    outcome: int

    @property
    def counted(self) -> int:
        """What it takes of the budget: what it came to, or what is held for it."""
        return self.cost if self.outcome else self.reserved


@dataclass(frozen=True)
class Ledger:
    """All of it."""

    lines: list[Line]
    totals: dict[tuple[int, str, str], tuple[int, int]]

    @cached_property
    def by_request(self) -> dict[str, Line]:
        """Lines by their call's name; the dearest where several have one name."""
        return {line.request: line for line in sorted(self.lines, key=lambda line: line.counted)}

    def disagreements(self) -> int:
        """Totals of the mesh, of tenants and of models that are not the sums of their lines."""
        spent, held = Counter[tuple[int, str, str]](), Counter[tuple[int, str, str]]()
        for line in self.lines:
            names = ((0, "", ""), (1, line.tenant, ""), (2, line.tenant, line.model))
            spent.update(dict.fromkeys(names, line.cost if line.outcome else 0))
            held.update(dict.fromkeys(names[:2], 0 if line.outcome else line.reserved))
        known = spent.keys() | held.keys() | self.totals.keys()
        return sum(self.totals.get(name, (0, 0)) != (spent[name], held[name]) for name in known)


def read(url: str) -> Ledger:
    """The ledger at such a place."""
    lines = [Line(*row) for row in _rows(url, LINES)]
    return Ledger(lines, {(row[0], row[1], row[2]): (row[3], row[4]) for row in _rows(url, TOTALS)})


def pass_time(url: str) -> None:
    """What is under way is overdue."""
    _rows(url, TIME_PASSES)


def _rows(url: str, statement: str) -> list[Any]:
    connect, schema = _way(url)
    with closing(connect()) as connection, connection:
        done = connection.execute(statement.format(schema=schema))
        return done.fetchall() if done.description else []


def _way(url: str) -> tuple[Callable[[], Any], str]:
    if url.startswith("sqlite:"):
        return lambda: sqlite3.connect(url.removeprefix("sqlite:"), timeout=BUSY_MS / 1e3), ""
    return lambda: psycopg.connect(url), "waypost."
