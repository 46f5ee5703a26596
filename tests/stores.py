"""Lines as a router writes them, for tests of the log of calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from router.store.journal import Journal, open_journals
from router.store.writer import Writer
from tests import postgres
from waypost import database
from waypost.database.tables import model_inferences

NOW = datetime(2026, 1, 22, 12, tzinfo=UTC)
EMBED = "/waypost.v1.EmbedService/Embed"
GENERATE = "/waypost.v1.GenerateService/Generate"
PLENTY = 1 << 30


def decision(request: str, ago: timedelta = timedelta(), **fields: Any) -> str:
    """The line of a call."""
    usual = {
        "event": "decision",
        "timestamp": (NOW - ago).isoformat().replace("+00:00", "Z"),
        "request_id": request,
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "method": EMBED,
        "tenant": "acme",
        "hops": [{"model": "minilm", "reason": "named"}],
        "model": "minilm",
        "model_reason": "named",
        "policy": "expected_completion",
        "reason": "only",
        "candidates": [],
        "chosen": "local-0",
        "attempts": [{"instance": "local-0", "code": "OK", "latency_ms": 3.0}],
        "latency_ms": 3.25,
        "code": "OK",
        "request_bytes": 20,
        "cost_usd": 0.0,
    }
    return json.dumps(usual | fields, separators=(",", ":"))


def texts(request: str, asked: str, answered: str = "", **fields: Any) -> str:
    """The line of what was said in a call."""
    usual = {
        "event": "payload",
        "timestamp": NOW.isoformat(),
        "request_id": request,
        "tenant": "acme",
        "method": GENERATE,
        "model": "m",
        "mode": "full",
        "status": "OK",
        "request": {"raw": asked, "route": {"tenant": "acme", "required_tags": ["fast"]}},
        "reply": {
            "text": answered,
            "served_by": {"model": "m", "version": "v7", "instance": "local-0"},
            "timings": {"queue": 0.0125},
            "usage": {"prompt_tokens": 11, "cached_tokens": 4, "completion_tokens": 7},
        },
    }
    return json.dumps(usual | fields)


def skip_without_postgres() -> None:
    """Says so, since nothing is shown of it then."""
    if postgres.missing():
        pytest.skip(f"NOT RUN: {postgres.MISSING}")


@contextmanager
def journal(root: Path, max_bytes: int = PLENTY) -> Iterator[Journal]:
    """A new one, whose process goes on; those that others left are let go of."""
    own, left = open_journals(root, max_bytes)
    for each in left:
        each.close()
    yield own
    own.close()


@contextmanager
def empty(url: str) -> Iterator[Engine]:
    """A database with its tables."""
    engine = database.open_engine(url)
    try:
        database.upgrade(engine)
        yield engine
    finally:
        engine.dispose()


def fill(engine: Engine, root: Path, *lines: str, **how: Any) -> None:
    """Brings lines of calls into a database."""
    with journal(root) as own:
        own.append("c", lines)
        assert Writer(engine, own, **how).flush()
        own.done(own.end, tidy=True)


def calls(engine: Engine, *columns: str) -> list[Any]:
    """Of each call in the database some columns, or the only one, the oldest first."""
    wanted = select(*(model_inferences.c[name] for name in columns)).order_by(model_inferences.c.id)
    with engine.connect() as connection:
        found = connection.execute(wanted).all()
    return [row[0] if len(columns) == 1 else tuple(row) for row in found]
