"""What a router does with its log of calls every hour, and what its section of the configuration may say."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine, Table
from structlog.testing import capture_logs

from router.store import cold, jobs, retention
from router.store.cold import NoParquet
from router.store.jobs import Sweeper
from router.store.journal import Journal, waiting
from router.store.writer import Writer
from tests.stores import NOW, calls, decision, empty, journal
from waypost._config_store import Store

DAY = timedelta(days=1)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Journal]:
    """A journal with calls of the last hundred days, a day apart: r0 is the oldest."""
    with journal(tmp_path / "journal") as own:
        own.append("c", [decision(f"r{i}", (100 - i) * DAY) for i in range(100)])
        yield own


@pytest.fixture
def engine(tmp_path: Path, own: Journal) -> Iterator[Engine]:
    """A database."""
    with empty(f"sqlite:{tmp_path}/store.db") as engine:
        yield engine


def sweeper(engine: Engine, own: Journal, folder: Path, **section: Any) -> Sweeper:
    """One whose database has what the journal has."""
    writer = Writer(engine, own)
    assert writer.flush()
    return Sweeper(Store(cold=f"{folder}/cold", **section), engine, own, writer, clock=lambda: NOW)


def test_old_calls_go_and_cold_ones_move(engine: Engine, own: Journal, tmp_path: Path) -> None:
    """By whole days; and nothing of them stays in the journal."""
    sweep = sweeper(engine, own, tmp_path)
    with capture_logs() as logs:
        sweep.sweep()
    assert [(each["event"], each["rows"]) for each in logs] == [("store swept", 10), ("store compacted", 83)]
    assert calls(engine, "request_id") == [f"r{i}" for i in range(93, 100)]
    assert waiting(tmp_path / "journal") == {own.name: 0}


def test_without_parquet_calls_stay_where_they_are(
    engine: Engine, own: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is said what is missing."""

    def missing() -> None:
        raise NoParquet

    monkeypatch.setattr(cold, "_pyarrow", missing)
    with capture_logs() as logs:
        sweeper(engine, own, tmp_path).sweep()
    assert logs[-1]["event"] == "store not compacted"
    assert "waypost[parquet]" in logs[-1]["error"]
    assert len(calls(engine, "id")) == 90
    assert not any((tmp_path / "cold").glob("*"))


def test_compaction_can_be_off(engine: Engine, own: Journal, tmp_path: Path) -> None:
    """Then calls stay in the database until they are too old."""
    sweeper(engine, own, tmp_path, compact_days=0.0).sweep()
    assert len(calls(engine, "id")) == 90


def test_a_sweep_that_fails_is_said(engine: Engine, own: Journal, tmp_path: Path) -> None:
    """And tried again the next time."""
    sweep = sweeper(engine, own, tmp_path)
    (tmp_path / "cold").write_text("a file where the folder should be")
    with capture_logs() as logs:
        sweep.sweep()
    assert logs[-1]["event"] == "store not swept"
    (tmp_path / "cold").unlink()
    sweep.sweep()
    assert len(calls(engine, "id")) == 7


def test_a_large_table_is_written_anew_at_most_daily(
    engine: Engine, own: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left in it is remembered until then."""
    sizes: list[float] = []

    def scrub(engine: Engine, tables: set[Table], most_bytes: float) -> set[Table]:
        sizes.append(most_bytes)
        return tables if most_bytes < math.inf else set()

    monkeypatch.setattr(retention, "scrub", scrub)
    sweep = sweeper(engine, own, tmp_path, compact_days=0.0)
    for number in range(3):
        own.append("c", [decision(f"old{number}", 100 * DAY)])
        assert Writer(engine, own).flush()
        sweep.sweep()
    assert sizes == [math.inf, jobs.SMALL_BYTES, jobs.SMALL_BYTES]
    monkeypatch.setattr(jobs, "REWRITE_S", 0.0)
    sweep.sweep()
    sweep.sweep()
    assert sizes[3:] == [math.inf, math.inf]


@pytest.mark.parametrize("url", ["", "store.db", "sqlite:", "sqlite:///path", "mysql://host/db", "redis://host:1/0"])
def test_what_is_no_database_is_refused(url: str) -> None:
    """With what may be written."""
    with pytest.raises(ValidationError, match='write "file", "sqlite:/path"'):
        Store(url=url)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """A server's address is left as it is."""
    context = {"base": tmp_path}
    given = {"url": "sqlite:calls.db", "cold": "./cold"}
    found = Store.model_validate(given, context=context)
    assert (found.url, found.cold) == (f"sqlite:{tmp_path}/calls.db", f"{tmp_path}/cold")
    address = "postgresql://me@db/waypost"
    assert Store.model_validate({"url": address}, context=context).url == address
