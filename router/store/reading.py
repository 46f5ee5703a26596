"""Reads the log of calls: rows in the database and rows in Parquet files as one.

A question is a list of conditions on columns, which both SQL and Parquet's own filters understand, so that neither is
read whole.
"""

from __future__ import annotations

import operator
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine, Table, func, select, text

from router.store.cold import COLUMNS, ORDER, Cold, File, Row, raw_select
from waypost.database.tables import audit, feedback, metadata, model_inferences, models, rollouts

Condition = tuple[str, str, Any]
"""Column, operator, value."""

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {">=": operator.ge, "<": operator.lt}
PART = 2000
"""Rows that are fetched at once."""

GROUPS = ("day", "task", "model", "version", "instance", "tenant", "tier", "status", "cached")
"""By what calls are summed up."""
SUMMED = ("status", "latency_ms", "cost_usd", "prompt_tokens", "completion_tokens")
TABLES: dict[str, Table] = {each.name: each for each in (model_inferences, feedback, audit, rollouts, models)}
"""What is exported, by name."""


@dataclass(frozen=True)
class Wanted:
    """Which calls are of interest; what is empty is not looked at.

    Attributes:
        since, until: when they came in; `until` itself is not part of it.
        tenants, requests: under any of these names: their own, or their hashes.
        slower_ms: that took at least so long.
    """

    since: datetime | None = None
    until: datetime | None = None
    tenants: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    task: str = ""
    model: str = ""
    instance: str = ""
    status: str = ""
    slower_ms: float = 0.0

    def conditions(self) -> Iterator[Condition]:
        """What all must hold."""
        for column, sign, value in (
            ("time", ">=", self.since),
            ("time", "<", self.until),
            ("latency_ms", ">=", self.slower_ms),
            ("tenant", "in", self.tenants),
            ("request_id", "in", self.requests),
            *((name, "in", tuple(filter(None, [getattr(self, name)]))) for name in EQUAL),
        ):
            if value:
                yield column, sign, value


EQUAL = ("task", "model", "instance", "status")


@dataclass
class Group:
    """Calls that have something in common, summed up."""

    calls: int = 0
    failed: int = 0
    cost_usd: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latencies: array[float] = field(default_factory=lambda: array("d"))

    def add(self, row: Row) -> None:
        self.calls += 1
        self.failed += row["status"] != "OK"
        self.cost_usd += row["cost_usd"] or 0.0
        self.prompt_tokens += row["prompt_tokens"] or 0
        self.completion_tokens += row["completion_tokens"] or 0
        self.latencies.append(row["latency_ms"] or 0.0)

    def told(self) -> Row:
        """With the median and the 95th percentile of what calls took."""
        p50, p95 = np.percentile(np.frombuffer(self.latencies), (50, 95)) if self.calls else (0.0, 0.0)
        figures = {"calls": self.calls, "failed": self.failed, "p50_ms": float(p50), "p95_ms": float(p95)}
        tokens = {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens}
        return figures | tokens | {"cost_usd": self.cost_usd}


class Reader:
    """Reads a database and its cold files."""

    def __init__(self, engine: Engine, cold: Cold) -> None:
        self._engine = engine
        self._cold = cold

    def latest(self, wanted: Wanted, limit: int, columns: Sequence[str] = COLUMNS) -> list[Row]:
        """The last calls, the newest first."""
        found = [*self._rows(wanted, columns, newest_first=True, limit=limit)]
        for file in sorted(self._files(wanted), key=lambda each: each.last, reverse=True):
            if len(found) >= limit and file.last <= found[-1]["time"]:
                break
            found = _newest([*found, *self._cold_rows([file], wanted, columns)], limit)
        return found

    def all(self, wanted: Wanted, columns: Sequence[str] = COLUMNS) -> Iterator[Row]:
        """Every call: the cold ones first."""
        if files := self._files(wanted):
            yield from self._cold_rows(files, wanted, columns)
        yield from self._rows(wanted, columns)

    def sums(self, wanted: Wanted, by: Sequence[str]) -> list[Row]:
        """Calls by what they have in common, the most frequent first."""
        groups: dict[tuple[Any, ...], Group] = {}
        columns = dict.fromkeys([*("time" if each == "day" else each for each in by), *SUMMED])
        for row in self.all(wanted, [*columns]):
            key = tuple(f"{row['time']:%Y-%m-%d}" if each == "day" else row[each] for each in by)
            groups.setdefault(key, Group()).add(row)
        told = [dict(zip(by, key, strict=True)) | group.told() for key, group in groups.items()]
        return sorted(told, key=lambda each: -each["calls"])

    def table(self, table: Table, wanted: Wanted) -> Iterator[Row]:
        """The rows of a table, as far as the conditions concern it."""
        if table is model_inferences:
            yield from self.all(wanted)
            return
        names = [f"{column.name}" for column in table.columns]
        yield from self._select(raw_select(names, table).where(*_clauses(table, wanted)), names)

    def _rows(
        self, wanted: Wanted, columns: Sequence[str], *, newest_first: bool = False, limit: int | None = None
    ) -> Iterator[Row]:
        order = [each.desc() if newest_first else each for each in ORDER]
        found = raw_select(columns).where(*_clauses(model_inferences, wanted)).order_by(*order).limit(limit)
        return self._select(found, columns)

    def _select(self, statement: Any, names: Sequence[str]) -> Iterator[Row]:
        with self._engine.connect() as connection:
            found = connection.execution_options(yield_per=PART).execute(statement)
            for part in found.partitions():
                yield from (dict(zip(names, row, strict=True)) for row in part)

    def _files(self, wanted: Wanted) -> list[File]:
        return [
            file
            for file in self._cold.files()
            if not (wanted.since and file.last < wanted.since) and not (wanted.until and file.first >= wanted.until)
        ]

    def _cold_rows(self, files: Sequence[File], wanted: Wanted, columns: Sequence[str]) -> Iterator[Row]:
        scanner = self._cold.dataset(files).scanner(filter=_expression(wanted), columns=[*columns])
        with closing(scanner.to_reader()) as batches:
            for batch in batches:
                yield from batch.to_pylist()


def _newest(rows: list[Row], limit: int) -> list[Row]:
    return sorted(rows, key=lambda row: row["time"], reverse=True)[:limit]


def _clauses(table: Table, wanted: Wanted) -> list[Any]:
    """For SQL; conditions on columns that a table does not have say nothing about it."""
    return [
        table.c[column].in_(value) if sign == "in" else OPERATORS[sign](table.c[column], value)
        for column, sign, value in wanted.conditions()
        if column in table.c
    ]


def _expression(wanted: Wanted) -> Any:
    """For Parquet."""
    import pyarrow.compute as pc

    parts = [
        pc.field(column).isin([*value]) if sign == "in" else OPERATORS[sign](pc.field(column), value)
        for column, sign, value in wanted.conditions()
    ]
    return reduce(operator.and_, parts) if parts else None


# ---- how it is ----


def counts(engine: Engine) -> dict[str, int]:
    """Rows of each table."""
    with engine.connect() as connection:
        return {
            name: connection.scalar(select(func.count()).select_from(table)) or 0
            for name, table in metadata.tables.items()
            if name in TABLES
        }


def span(engine: Engine) -> tuple[datetime | None, datetime | None]:
    """When the oldest and the newest call of the database came in."""
    time = model_inferences.c.time
    with engine.connect() as connection:
        found = connection.execute(select(func.min(time), func.max(time))).one()
    return found[0], found[1]


def size(engine: Engine) -> int:
    """Bytes of the database on disk, without its write-ahead log."""
    if engine.dialect.name == "sqlite":
        return Path(str(engine.url.database)).stat().st_size
    with engine.connect() as connection:
        return connection.scalar(text("SELECT pg_database_size(current_database())")) or 0
