"""Where the log of calls is: database, journals, cold files, and the key of anonymous names."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from router.payloads import home_key
from router.store.rows import Anonymous
from waypost import database, places
from waypost._config_store import Store
from waypost.config import ConfigError, Problem


def engine(config: Store) -> Engine:
    """The database; nothing is connected yet.

    Raises:
        ConfigError: its driver is not installed, or its URL cannot be meant.
        OSError: the file cannot be made.
    """
    try:
        return (
            database.open_file(places.home() / "store.db") if config.url == "file" else database.open_engine(config.url)
        )
    except (database.NoDriver, database.BadUrl) as error:
        shown = database.shown(config.url)
        raise ConfigError("router.store", [Problem("router.store.url", shown, str(error), "correct it")]) from None


def file() -> Path:
    """The database that is meant by "file"."""
    return places.home() / "store.db"


def cold(config: Store) -> Path:
    """The folder of Parquet files."""
    return places.home() / "store" if config.cold == "file" else Path(config.cold)


def journals() -> Path:
    """The folder of journals, of all routers of this home."""
    return places.home() / "journal"


def anonymous(config: Store) -> Anonymous | None:
    """What hides names, where they are to be hidden.

    Raises:
        OSError: the key of this home's hashes cannot be read or made.
    """
    return Anonymous(home_key()) if config.anonymise else None
