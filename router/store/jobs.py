"""What a router runs for its log of calls: `opened` gives the one that is configured, or one that keeps nothing."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog
from sqlalchemy import Engine, Table
from sqlalchemy.exc import SQLAlchemyError

from router import events
from router.events import Sink
from router.payloads import Diary
from router.store import models, place, retention
from router.store.cold import Cold, NoParquet
from router.store.feed import Feed
from router.store.journal import Journal, open_journals
from router.store.writer import Writer, words
from waypost._config_store import Store
from waypost.config import Router
from waypost.life import Job

log = structlog.get_logger()

LINGER_S = 0.004
"""Events gather for so long before they are in the journal: what a killed router loses is hardly older."""
SWEEP_S = 3600.0
"""What is too old is removed, and what is cold is moved, so often."""
LOOK_S = 1.0
SMALL_BYTES = 64 << 20
"""A table of PostgreSQL that is not larger is written anew in a second or two, so as soon as rows were removed;"""
REWRITE_S = 86400.0
"""a larger one at most so often."""


class CallLog(Protocol):
    """What the router's process knows of the log of calls."""

    @property
    def linger_s(self) -> float:
        """Seconds for which events gather before they are taken."""

    def decisions(self, sink: Sink) -> Sink: ...

    def audits(self, sink: Sink) -> Sink: ...

    def rollouts(self, sink: Sink) -> Sink: ...

    def feedback(self, sink: Sink) -> Sink: ...

    def texts(self, diary: Diary) -> Diary: ...

    def models(self, told: Callable[[], list[models.Told]]) -> Iterator[Job]:
        """For the versions of models that are served."""

    def fed_by(self, job: Job) -> Job:
        """A job that hands lines to these sinks: as long as it runs, the log does not end."""

    def jobs(self) -> Iterator[Job]: ...


def opened(config: Router) -> CallLog:
    """The log of calls.

    Raises:
        ConfigError: its database cannot be used.
        OSError: its journal cannot be made.
    """
    return Kept(config) if config.store.enabled else NotKept()


class NotKept:
    """Keeps nothing."""

    linger_s = events.LINGER_S

    def decisions(self, sink: Sink) -> Sink:
        return sink

    def audits(self, sink: Sink) -> Sink:
        return sink

    def rollouts(self, sink: Sink) -> Sink:
        return sink

    def feedback(self, sink: Sink) -> Sink:
        return sink

    def texts(self, diary: Diary) -> Diary:
        return diary

    def models(self, told: Callable[[], list[models.Told]]) -> Iterator[Job]:
        return iter(())

    def fed_by(self, job: Job) -> Job:
        return job

    def jobs(self) -> Iterator[Job]:
        return iter(())


class Kept:
    """Keeps rows in the database that is configured."""

    linger_s = LINGER_S

    def __init__(self, config: Router) -> None:
        store = config.store
        engine, hide = place.engine(store), place.anonymous(store)
        own, left = open_journals(place.journals(), store.journal_bytes)
        self._own = own
        self._writer = Writer(engine, own, left, hide=hide, batch=store.batch, flush_s=store.flush_s)
        self._sweeper = Sweeper(store, engine, own, self._writer)
        feed = Feed(own, config)
        self.decisions, self.audits = feed.decisions, feed.audits
        self.rollouts, self.texts, self.feedback = feed.rollouts, feed.texts, feed.feedback
        self._engine = engine

    def models(self, told: Callable[[], list[models.Told]]) -> Iterator[Job]:
        yield models.Registrar(self._engine, told, lambda: self._writer.ready).run

    def fed_by(self, job: Job) -> Job:
        self._writer.expect()

        def feeding(stop: threading.Event) -> None:
            with self._writer.feeding():
                job(stop)

        return feeding

    def jobs(self) -> Iterator[Job]:
        yield self._own.keep_synced
        yield self._writer.run
        yield self._sweeper.run


class Sweeper:
    """Removes what is too old, and moves what is cold."""

    def __init__(
        self,
        config: Store,
        engine: Engine,
        journal: Journal,
        writer: Writer,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._config = config
        self._engine = engine
        self._journal = journal
        self._writer = writer
        self._clock = clock
        self._cold = Cold(engine, place.cold(config))
        self._unclean: set[Table] = set()
        self._rewritten = -REWRITE_S

    def run(self, stop: threading.Event) -> None:
        """Sweeps every hour until `stop` is set, and first when the tables are there."""
        swept = -SWEEP_S
        while not stop.wait(LOOK_S):
            if self._writer.ready and time.monotonic() - swept >= SWEEP_S:
                swept = time.monotonic()
                self.sweep()

    def sweep(self) -> None:
        """Once; what goes wrong is said, and tried again the next time."""
        before = self._clock() - timedelta(days=self._config.retention_days)
        try:
            self._journal.forget(before.timestamp())
            self._writer.tidy()
            self._expire(before)
            self._compact()
        except (SQLAlchemyError, OSError) as error:
            log.warning("store not swept", error=words(error) if isinstance(error, SQLAlchemyError) else str(error))

    def _expire(self, before: datetime) -> None:
        removed = retention.expire(self._engine, before)
        self._unclean |= removed.keys()
        rows = sum(removed.values()) + self._cold.expire(before)
        self._scrub()
        if rows:
            log.info("store swept", rows=rows)

    def _scrub(self) -> None:
        is_due = time.monotonic() - self._rewritten >= REWRITE_S
        unclean = self._unclean
        self._unclean = retention.scrub(self._engine, unclean, math.inf if is_due else SMALL_BYTES)
        if unclean and is_due:
            self._rewritten = time.monotonic()

    def _compact(self) -> None:
        if not self._config.compact_days:
            return
        midnight = self._clock().replace(hour=0, minute=0, second=0, microsecond=0)
        try:
            moved = self._cold.compact(midnight - timedelta(days=self._config.compact_days))
        except NoParquet as error:
            log.warning("store not compacted", error=str(error))
            return
        if moved.rows:
            log.info("store compacted", rows=moved.rows, bytes=moved.bytes, share=round(moved.share, 3))
