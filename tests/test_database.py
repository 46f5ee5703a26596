"""The shared database: engines, and revisions that make the tables."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, text

from tests import postgres
from waypost import database
from waypost.database import tables


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    """A PostgreSQL of this module's own."""
    if postgres.missing():
        pytest.skip(f"NOT RUN: {postgres.MISSING}")
    with postgres.server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/store.db"
    server: postgres.Server = request.getfixturevalue("server")
    return server.database()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Of an empty database of each kind."""
    made = database.open_engine(url)
    yield made
    made.dispose()


def differences(engine: Engine) -> list[object]:
    """Between the tables that are there and those in `waypost.database.tables`."""
    with engine.connect() as connection:
        found: list[object] = compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": True}), tables.metadata
        )
    return found


def test_revisions_make_the_tables_that_the_code_knows(engine: Engine) -> None:
    """A column that is in one of them only would be found by the first user otherwise."""
    database.upgrade(engine)
    assert differences(engine) == []


def test_who_opens_first_makes_the_tables_and_the_others_wait(url: str, engine: Engine) -> None:
    """However many open an empty database at once."""

    def opened(_: int) -> None:
        own = database.open_engine(url)
        database.upgrade(own)
        own.dispose()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(opened, range(8)))
    assert differences(engine) == []


def test_who_connects_to_an_empty_file_at_once_is_not_refused(tmp_path: Path) -> None:
    """SQLite itself refuses all but one of those who change a file's journal at once."""

    def connected(url: str) -> None:
        own = database.open_engine(url)
        own.connect().close()
        own.dispose()

    with ThreadPoolExecutor(8) as threads:
        for attempt in range(20):
            list(threads.map(connected, [f"sqlite:{tmp_path}/{attempt}.db"] * 8))


def test_a_database_of_a_later_waypost_is_left_alone(engine: Engine) -> None:
    """Its tables may mean something else."""
    database.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(database.DatabaseTooNew, match="9999"):
        database.upgrade(engine)


def test_a_file_is_for_this_user_alone(tmp_path: Path) -> None:
    """Also one that others could read before; its folder is made."""
    path = tmp_path / "deep" / "store.db"
    database.upgrade(database.open_engine(f"sqlite:///{path}"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("url", ["mysql://me:secret@host/db", "postgresql://me:secret@host", "sqlite://", "nothing"])
def test_what_is_no_database_is_said_without_the_password(url: str) -> None:
    """With what may be written instead."""
    with pytest.raises(database.BadUrl, match='write "sqlite:/path"') as caught:
        database.open_engine(url)
    assert "secret" not in str(caught.value)
