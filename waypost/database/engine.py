"""Engines by their URL, set up so that what was committed is there after a crash, and what was deleted is not."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError

CONNECT_S = 5
"""Seconds until a database that does not answer counts as away."""
BUSY_MS = 30_000
"""Milliseconds that a writer of SQLite waits for another."""
WRITES = {"sqlite_begin": "BEGIN IMMEDIATE"}
"""Execution options of a transaction that writes: in SQLite one that began by reading might be refused the change."""


class BadUrl(ValueError):
    """Raised for a URL that names neither a file nor a PostgreSQL server; the message has no password in it."""

    def __init__(self, url: str) -> None:
        super().__init__(f'{shown(url)!r} is no database; write "sqlite:/path" or "postgresql://user@host/name"')


class NoDriver(ImportError):
    """Raised for PostgreSQL where its driver is not installed."""

    def __init__(self) -> None:
        super().__init__("PostgreSQL needs psycopg: pip install 'waypost[postgres]'")


def open_engine(url: str) -> Engine:
    """An engine for "sqlite:/path", "sqlite:///path" or "postgresql://…"; nothing is connected yet.

    JSON columns take text that is JSON already as well as objects: most of it comes as text and need not be parsed.

    Raises:
        BadUrl: it names something else.
        NoDriver: psycopg is not installed.
        OSError: the file's folder cannot be made.
    """
    if url.startswith("sqlite:") and not url.startswith("sqlite://"):
        return open_file(Path(url.removeprefix("sqlite:")))
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        return open_file(Path(parsed.database))
    if parsed.get_backend_name() != "postgresql" or not parsed.database:
        raise BadUrl(url)
    return _postgres(parsed)


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise BadUrl(url) from None


def _postgres(url: URL) -> Engine:
    try:
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args={"connect_timeout": CONNECT_S, "application_name": "waypost"},
            pool_pre_ping=True,
            json_serializer=_json,
            json_deserializer=orjson.loads,
        )
    except ModuleNotFoundError:
        raise NoDriver from None


def open_file(path: Path) -> Engine:
    """An engine for a file of SQLite that only this user reads; its folder is made.

    Raises:
        OSError: the folder or the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    path.chmod(0o600)
    engine = create_engine(
        URL.create("sqlite", database=str(path)), json_serializer=_json, json_deserializer=orjson.loads
    )
    event.listen(engine, "connect", partial(_set_up, FileLock(f"{path}.opening")))
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(opening: FileLock, connection: Any, record: object) -> None:
    """Readers beside a writer; each commit is on disk; what is deleted is overwritten, and its room given back.

    One connection at a time: SQLite refuses two that change an empty file's journal at once, instead of waiting.
    """
    connection.isolation_level = None  # we begin transactions ourselves, so that tables are changed inside of them too
    with opening:
        for pragma in (
            f"busy_timeout = {BUSY_MS}",
            "auto_vacuum = INCREMENTAL",  # only heard while the file is empty
            "journal_mode = WAL",
            "synchronous = FULL",
            "secure_delete = ON",
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(str(connection.get_execution_options().get("sqlite_begin", "BEGIN")))


def _json(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def shown(url: str) -> str:
    """A URL for messages: without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return url.rpartition("@")[2]
