"""Brings the journal into the database: in batches, off the hot path, each line once.

The position up to which lines are in the tables is itself a row, changed in the transaction that inserts them: whatever
ends the process, or the connection, the next look begins where the last transaction did that counted.  Ids of rows come
from positions, so that a line which is read twice would be the same row.

A database that is away is tried again, ever more rarely; meanwhile lines wait in the journal.  A row that it does not
take is left out, alone, and said.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Table, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from router.events import say_dropped
from router.store import rows
from router.store.journal import Entry, Journal
from router.store.rows import FACT_COLUMNS, TEXT_COLUMNS, Anonymous
from waypost import database
from waypost.database.engine import WRITES
from waypost.database.tables import journals, model_inferences

log = structlog.get_logger()

LOOK_S = 1.0
"""Longest wait for lines, after which it is seen whether there is a reason to stop."""
LAST_S = 10.0
"""Longest wait, at the end, for those who still write lines down."""
RETRY_S = (0.5, 30.0)
"""Pause after a first failure, doubled after each further one, and the longest."""

INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class Writer:
    """One thread's work: `run`.

    Args:
        own: this process's journal.
        left: those of processes that are gone, which come first.
        batch: lines of one transaction.
        flush_s: seconds in which lines gather.

    Attributes:
        ready: whether the tables are there.
    """

    def __init__(
        self,
        engine: Engine,
        own: Journal,
        left: Sequence[Journal] = (),
        *,
        hide: Anonymous | None = None,
        batch: int = 2000,
        flush_s: float = 0.5,
    ) -> None:
        self._engine = engine.execution_options(**WRITES)
        self._own = own
        self._left = list(left)
        self._hide = hide
        self._batch = batch
        self._flush_s = flush_s
        self.ready = False
        self._positions: dict[str, int] = {}
        self._feeding = 0
        self._fed = threading.Condition()

    # ---- who writes lines down ----

    @contextmanager
    def feeding(self) -> Iterator[None]:
        """While somebody is inside, there may be more lines, and the writer does not end."""
        try:
            yield
        finally:
            self.fed()

    def expect(self) -> None:
        """Somebody will be `feeding`."""
        self._feeding += 1

    def fed(self) -> None:
        """And is not any more."""
        with self._fed:
            self._feeding -= 1
            self._fed.notify_all()

    # ---- the loop ----

    def run(self, stop: threading.Event) -> None:
        """Writes until `stop` is set, and then what is left."""
        lost, pause = 0, 0.0
        while not stop.wait(pause):
            done = self.flush(LOOK_S)
            lost = say_dropped("lines of the store", lost, self._own.lost)
            pause = self._flush_s if done else self._later(pause)
        with self._fed:
            self._fed.wait_for(lambda: self._feeding <= 0, LAST_S)
        if pause <= self._flush_s:  # else it is away, and the process is not to wait for it
            self.flush(0.0)
        say_dropped("lines of the store", lost, self._own.lost)
        self._close()

    def _later(self, pause: float) -> float:
        return min(max(2 * pause, RETRY_S[0]), RETRY_S[1])

    def flush(self, wait_s: float = 0.0) -> bool:
        """Writes what is in the journals; whether the database took all of it.  Waits for a first line."""
        if not self._left and not self._own.wait(self._positions.get(self._own.name, 0), wait_s):
            return True
        try:
            self._prepare()
            for journal in [*self._left, self._own]:
                self._empty(journal)
            return True
        except SQLAlchemyError as error:
            self._positions.clear()  # a commit may have counted though its answer was lost
            log.warning("store away", waiting_bytes=self._own.size, error=words(error))
            return False
        except (OSError, database.DatabaseTooNew) as error:
            log.error("store not written", waiting_bytes=self._own.size, error=str(error))
            return False

    def _prepare(self) -> None:
        if not self.ready:
            database.upgrade(self._engine)
            self.ready = True

    def _empty(self, journal: Journal) -> None:
        position = self._position(journal)
        while True:
            entries, end = journal.read(position, self._batch)
            if end == position:
                break
            self._write(journal, entries, end)
            self._positions[journal.name] = position = end
            journal.done(position)
        if journal is not self._own:
            self._finish(journal)

    def _position(self, journal: Journal) -> int:
        known = self._positions.get(journal.name)
        if known is None:
            with self._engine.connect() as connection:
                found = connection.scalar(select(journals.c.position).where(journals.c.journal == journal.name))
            known = self._positions[journal.name] = found or 0
        return known

    def _write(self, journal: Journal, entries: list[Entry], end: int) -> None:
        """Entries in one transaction; where one of them is refused, in halves."""
        try:
            self._commit(journal, entries, end)
        except (DataError, IntegrityError) as error:
            if len(entries) > 1:
                half = len(entries) // 2
                self._write(journal, entries[:half], entries[half].position)
                self._write(journal, entries[half:], end)
                return
            log.error("line of the store left out", journal=journal.name, error=words(error))
            self._commit(journal, [], end)

    def _commit(self, journal: Journal, entries: list[Entry], end: int) -> None:
        batch = rows.read(journal.name, entries, self._hide)
        with self._engine.begin() as connection:
            for table, made in batch.rows.items():
                connection.execute(_insert(connection, table), made)
            if batch.texts:
                connection.execute(UPDATE_TEXT, batch.texts)
            _set_position(connection, journal.name, end)
        if batch.unreadable:
            log.error("lines of the store unreadable", journal=journal.name, lines=batch.unreadable)

    def _finish(self, journal: Journal) -> None:
        """Of a process that is gone: nothing is left in it."""
        with self._engine.begin() as connection:
            connection.execute(delete(journals).where(journals.c.journal == journal.name))
        journal.done(journal.end, tidy=True)
        journal.close()
        self._left.remove(journal)
        self._own.reserved = sum(each.size for each in self._left)

    def tidy(self) -> None:
        """Nothing that is in the database stays in the journal's files."""
        position = self._positions.get(self._own.name)
        if position is not None:
            self._own.done(position, tidy=True)

    def _close(self) -> None:
        """Lets go of the journals: what is left in them is for the next process."""
        self.tidy()
        if self._own.close():
            self._forget_position()
        for journal in self._left:
            journal.close()
        self._engine.dispose()

    def _forget_position(self) -> None:
        if not self._positions:
            return
        try:
            with self._engine.begin() as connection:
                connection.execute(delete(journals).where(journals.c.journal == self._own.name))
        except SQLAlchemyError as error:
            log.warning("store away", error=words(error))


UPDATE_TEXT = (
    update(model_inferences)
    .where(model_inferences.c.id == bindparam("call"))
    .values(
        {name: bindparam(name) for name in TEXT_COLUMNS}
        | {name: func.coalesce(model_inferences.c[name], bindparam(name)) for name in FACT_COLUMNS}
    )
)


def _insert(connection: Connection, table: Table) -> Any:
    return INSERTS[connection.dialect.name](table).on_conflict_do_nothing()


def _set_position(connection: Connection, journal: str, position: int) -> None:
    insert = INSERTS[connection.dialect.name](journals).values(journal=journal, position=position)
    connection.execute(insert.on_conflict_do_update(index_elements=["journal"], set_={"position": position}))


def words(error: Exception) -> str:
    """What a database said, without the statement and its values: they may be texts of callers."""
    return str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
