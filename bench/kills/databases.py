"""The databases in which things are kept, each empty."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests import postgres

SERVER_TOO = 5
"""Every so many-th kill takes PostgreSQL's server along, the third first."""


@dataclass(frozen=True)
class Database:
    """One that nobody has used.

    Attributes:
        url: as in the configuration of the log of calls,
        ledger: and of the ledger.
        folder: for what else is on disk.
        crash: what happens to it when a process that uses it is killed for the so many-th time.
    """

    name: str
    url: str
    ledger: str
    folder: Path
    crash: Callable[[int], None]

    @property
    def home(self) -> Path:
        """Of routers that use it."""
        return self.folder / "home"


def each() -> Iterator[Database]:
    """SQLite, and PostgreSQL where it is installed."""
    with TemporaryDirectory() as made:
        yield Database("SQLite", f"sqlite:{made}/kept.db", f"sqlite:{made}/ledger.db", Path(made), lambda number: None)
    if postgres.missing():
        print(f"{postgres.MISSING}: its rows are not here", file=sys.stderr)
        return
    with TemporaryDirectory() as made, postgres.server(fsync=True) as server:
        yield Database("PostgreSQL", server.url, server.url, Path(made), lambda number: _crash(server, number))


def _crash(server: postgres.Server, number: int) -> None:
    if number % SERVER_TOO == 2:
        server.kill()
        server.start()
