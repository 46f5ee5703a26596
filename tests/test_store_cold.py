"""Cold rows: moved to Parquet files, read as if they were not, removed like any others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete

from router.store import cold as colds
from router.store.cold import Cold
from router.store.reading import Reader, Wanted
from tests import postgres
from tests.stores import NOW, calls, decision, empty, fill, skip_without_postgres
from waypost.database.tables import model_inferences

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    """A PostgreSQL of this module's own."""
    skip_without_postgres()
    with postgres.server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty database of each kind, with its tables."""
    server = request.getfixturevalue("server") if request.param == "postgresql" else None
    with empty(server.database() if server else f"sqlite:{tmp_path}/store.db") as engine:
        yield engine


@pytest.fixture
def cold(engine: Engine, tmp_path: Path) -> Cold:
    """Its cold rows."""
    return Cold(engine, tmp_path / "cold")


def ten_days(engine: Engine, tmp_path: Path, count: int = 20) -> None:
    """Calls of the last ten days, two a day: r0 is the oldest."""
    lines = (
        decision(f"r{i}", timedelta(hours=12 * (count - i)), tenant=("acme", "eve")[i % 2], latency_ms=float(i))
        for i in range(count)
    )
    fill(engine, tmp_path / "journal", *lines)


def named(reader: Reader, wanted: Wanted | None = None, limit: int = 100) -> list[str]:
    return [row["request_id"] for row in reader.latest(wanted or Wanted(), limit, ("time", "request_id"))]


def test_compacted_calls_are_read_as_before(engine: Engine, cold: Cold, tmp_path: Path) -> None:
    """Every question has the answer that it had."""
    ten_days(engine, tmp_path)
    reader = Reader(engine, cold)
    questions = (
        Wanted(),
        Wanted(since=NOW - 8 * DAY, until=NOW - 2 * DAY),
        Wanted(tenants=("eve",), slower_ms=3.0),
        Wanted(requests=("r3", "r18"), task="embed", model="minilm", status="OK", instance="local-0"),
        Wanted(model="none"),
    )

    def answers() -> list[object]:
        return [
            [[*reader.all(each)], reader.latest(each, 5), reader.sums(each, ("day", "tenant"))] for each in questions
        ]

    before = answers()
    assert cold.compact(NOW - 5 * DAY).rows == 10
    assert len(calls(engine, "id")) == 10
    after = answers()
    assert after == before
    assert named(reader, limit=12) == [f"r{i}" for i in range(19, 7, -1)]


def test_files_are_as_long_as_they_may_be(
    engine: Engine, cold: Cold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And are read group by group; nothing is left of the reading's order."""
    monkeypatch.setattr(colds, "FILE_ROWS", 6)
    monkeypatch.setattr(colds, "GROUP_ROWS", 4)
    ten_days(engine, tmp_path)
    moved = cold.compact(NOW)
    assert [file.rows for file in cold.files()] == [6, 6, 6, 2]
    assert (moved.rows, moved.bytes) == (20, sum(path.stat().st_size for path in (tmp_path / "cold").iterdir()))
    assert named(Reader(engine, cold)) == [f"r{i}" for i in range(19, -1, -1)]


def test_expired_cold_rows_are_gone(engine: Engine, cold: Cold, tmp_path: Path) -> None:
    """From the file in whose middle the limit is, too."""
    ten_days(engine, tmp_path)
    cold.compact(NOW - 5 * DAY)
    assert cold.expire(NOW - 7 * DAY) == 6
    assert named(Reader(engine, cold)) == [f"r{i}" for i in range(19, 5, -1)]
    (file,) = cold.files()
    assert (file.rows, file.first) == (4, NOW - 7 * DAY)
    assert cold.expire(NOW - 5 * DAY) == 4
    assert list((tmp_path / "cold").iterdir()) == []


def test_a_tenant_is_forgotten_in_cold_files(engine: Engine, cold: Cold, tmp_path: Path) -> None:
    """And nobody else, nobody in particular neither."""
    ten_days(engine, tmp_path)
    fill(engine, tmp_path / "journal", decision("nobody", 9 * DAY, tenant=None))
    cold.compact(NOW)
    assert cold.forget(["eve"]) == 10
    assert {row["tenant"] for row in Reader(engine, cold).all(Wanted())} == {"acme", None}
    assert len(list((tmp_path / "cold").iterdir())) == 1


def test_rows_that_change_meanwhile_stay_where_they_are(
    engine: Engine, cold: Cold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether two compact at once or somebody is forgotten: a row is in exactly one place."""
    ten_days(engine, tmp_path)
    exchange = Cold._exchange

    def late(self: Cold, entry: colds.File, last_id: str) -> bool:
        with engine.begin() as connection:
            connection.execute(delete(model_inferences).where(model_inferences.c.request_id == "r0"))
        return exchange(self, entry, last_id)

    monkeypatch.setattr(Cold, "_exchange", late)
    assert cold.compact(NOW).rows == 0
    monkeypatch.undo()
    assert (cold.files(), list((tmp_path / "cold").iterdir())) == ([], [])
    assert len(calls(engine, "id")) == 19


def test_the_rest_of_a_killed_compaction_is_removed(engine: Engine, cold: Cold, tmp_path: Path) -> None:
    """After a while: it may just be being written."""
    ten_days(engine, tmp_path)
    cold.compact(NOW - 5 * DAY)
    for name, modified in (("calls-old.parquet", 1.0), ("calls-new.parquet", datetime.now().timestamp())):
        (tmp_path / "cold" / name).write_bytes(b"PAR1")
        os.utime(tmp_path / "cold" / name, (modified, modified))
    cold.compact(NOW - 5 * DAY)
    assert {path.name for path in (tmp_path / "cold").iterdir()} == {cold.files()[0].file, "calls-new.parquet"}
    assert len(named(Reader(engine, cold))) == 20


def test_cold_rows_are_a_fraction_of_their_size(engine: Engine, cold: Cold, tmp_path: Path) -> None:
    """Decisions are much alike."""
    fill(engine, tmp_path / "journal", *(decision(f"{i * 7919:08x}", timedelta(seconds=i)) for i in range(2000)))
    moved = cold.compact(NOW + DAY)
    assert moved.rows == 2000
    assert moved.share > 0.8
