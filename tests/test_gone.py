"""What expired is in no file: looked for by a mark that only it had, in all files there are, after the sweep.

A mark is looked for before the sweep, too, so that it is known to be findable.  Parquet is compressed, so its files are
read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine

from router.store.feed import Feed
from router.store.jobs import Sweeper
from router.store.journal import Journal
from router.store.writer import Writer
from services.retrieve import embedded
from services.retrieve.postgres import migrate
from services.retrieve.postgres.graphs import Graphs
from services.retrieve.postgres.store import Postgres
from services.retrieve.store import Space, Store
from tests import postgres
from tests.documents import entry, ids, unit
from tests.stores import GENERATE, NOW, calls, decision, empty, journal, skip_without_postgres, texts
from waypost import database
from waypost._config_store import Store as Section
from waypost.config import Router

MARK = "zanzibarquux"
DAY = timedelta(days=1)
SPACE = Space("acme", "marked")
THEN = NOW.timestamp()


def marked(folder: Path, mark: bytes = MARK.encode()) -> set[Path]:
    """The files that have it."""
    return {path for path in folder.rglob("*") if path.is_file() and mark in path.read_bytes()}


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    """A PostgreSQL of this module's own: its files are looked into."""
    skip_without_postgres()
    with postgres.server() as server:
        yield server


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Journal]:
    """A journal with two calls and their texts: one of forty days ago, marked everywhere, and one of yesterday."""
    with journal(tmp_path / "journal") as own:
        feed = Feed(own, Router.model_validate({"payloads": {"mode": "full"}}))
        for name, ago in ((MARK, 40 * DAY), ("young", DAY)):
            said = {"timestamp": (NOW - ago).isoformat()}
            feed.decisions(Nowhere()).write([decision(name, ago, method=GENERATE, error=name)])
            feed.texts(Nowhere()).write([texts(name, f"asked {name}" * 500, f"answered {name}", **said)])
        yield own


class Nowhere:
    """Takes lines and forgets them."""

    def write(self, lines: list[str]) -> None:
        pass

    def forget(self, before: float) -> None:
        pass


def sweeper(engine: Engine, own: Journal, folder: Path, **section: Any) -> Sweeper:
    """One whose database has what the journal has."""
    writer = Writer(engine, own)
    assert writer.flush()
    return Sweeper(Section(cold=f"{folder}/cold", **section), engine, own, writer, clock=lambda: NOW)


def log_was_written_again(server: postgres.Server) -> None:
    """As it is in time: segments of the write-ahead log are used again once checkpoints have passed them."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET wal_recycle = off")
        connection.execute("SELECT pg_reload_conf()")
        for number in range(3):
            connection.execute(f"CREATE TABLE written{number} (a INTEGER)")
            connection.execute("SELECT pg_switch_wal()")
            connection.execute("CHECKPOINT")
        for number in range(3):
            connection.execute(f"DROP TABLE written{number}")


# ---- the log of calls ----


def test_of_an_expired_call_nothing_is_in_files_of_sqlite(tmp_path: Path, own: Journal) -> None:
    """Nor in the journal."""
    with empty(f"sqlite:{tmp_path}/store.db") as engine:
        sweep = sweeper(engine, own, tmp_path, retention_days=30.0, compact_days=0.0)
        assert {path.parent.name for path in marked(tmp_path)} >= {own.name, tmp_path.name}
        sweep.sweep()
        assert marked(tmp_path) == set()
        assert calls(engine, "request_id") == ["young"]


def test_of_an_expired_call_nothing_is_in_tables_of_postgresql(
    tmp_path: Path, own: Journal, server: postgres.Server
) -> None:
    """Nor, once its segments were used again, in the write-ahead log."""
    with empty(server.database()) as engine:
        sweep = sweeper(engine, own, tmp_path, retention_days=30.0, compact_days=0.0)
        checkpoint(server)
        assert {path.parent.name for path in marked(server.folder)} >= {"pg_wal"}
        sweep.sweep()
        assert {path.parent.name for path in marked(server.folder)} <= {"pg_wal"}
        assert marked(tmp_path) == set()
        log_was_written_again(server)
        assert marked(server.folder) == set()
        assert calls(engine, "request_id") == ["young"]


def checkpoint(server: postgres.Server) -> None:
    """Pages are in their files."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def test_of_an_expired_call_nothing_is_in_parquet_files(tmp_path: Path, own: Journal) -> None:
    """It goes from the database to Parquet, and from there nowhere."""
    cold = tmp_path / "cold"

    def kept() -> str:
        return "".join(str(pq.read_table(path).to_pylist()) for path in cold.iterdir())

    with empty(f"sqlite:{tmp_path}/store.db") as engine:
        sweeper(engine, own, tmp_path, retention_days=90.0, compact_days=0.25).sweep()
        assert MARK in kept() and "young" in kept()
        sweeper(engine, own, tmp_path, retention_days=30.0, compact_days=0.25).sweep()
        assert "young" in kept() and MARK not in kept()
        assert marked(tmp_path) == set()


# ---- documents ----


def fill(store: Store, count: int, expires: float | None) -> bytes:
    """Documents, the last of which expires, and is marked everywhere; its vector is a mark, too."""
    vectors = unit(np.random.default_rng(9).normal(size=(count, 16)))
    kept = [replace(entry(f"d{number}"), vector=vectors[number]) for number in range(count - 1)]
    gone = replace(entry(MARK, f"text of {MARK} " * 50, who=f"{MARK}-too"), vector=vectors[-1], expires=expires)
    for start in range(0, count, 1000):
        store.upsert(SPACE, [*kept, gone][start : start + 1000], THEN)
    return bytes(vectors[-1].tobytes())


def by_its_time(store: Store) -> list[str]:
    return ids(store.page(SPACE, "", 10, None, THEN + 11))[:1]


def by_its_namespace(store: Store) -> list[str]:
    store.set_retention(SPACE, 10.0)
    return []


@pytest.mark.parametrize(("expires", "how", "left"), [(THEN + 10, by_its_time, ["d0"]), (None, by_its_namespace, [])])
def test_of_an_expired_document_nothing_is_in_embedded_files(
    tmp_path: Path, expires: float | None, how: Callable[[Store], list[str]], left: list[str]
) -> None:
    """Neither in SQLite, nor in the index of words, nor in the snapshot of a graph."""
    store = embedded.opened(tmp_path, max_bytes=1 << 30, exact_up_to=500)
    vector = fill(store, 2000, expires)
    store.sweep(THEN)
    assert "graphs" in {path.parent.name for path in marked(tmp_path, vector)}
    assert marked(tmp_path)
    assert how(store) == left
    store.sweep(THEN + 11)
    assert ids(store.page(SPACE, "", 10, None, THEN + 11))[:1] == left
    assert (marked(tmp_path), marked(tmp_path, vector)) == (set(), set())
    store.close()


def test_of_an_expired_document_nothing_is_in_tables_of_postgresql(server: postgres.Server) -> None:
    """Where the table is small and has no graph; else until its room is used again, as the manual says."""
    engine = database.open_engine(server.database())
    migrate.upgrade(engine)
    store = Postgres(engine, Graphs(engine))
    fill(store, 50, THEN + 10)
    checkpoint(server)
    assert {path.parent.name for path in marked(server.folder)} > {"pg_wal"}
    assert store.sweep(THEN + 11) == 1
    assert {path.parent.name for path in marked(server.folder)} <= {"pg_wal"}
    log_was_written_again(server)
    assert marked(server.folder) == set()
    store.close()
