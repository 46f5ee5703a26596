"""Decision events: from the ring in Rust to JSON lines.

Every routed call leaves one event, already a line of JSON in the shape of structlog's (`event`, `timestamp`, …).
They are taken in bulk and written in one piece: rendering each in Python would cost more CPU than routing the call
did.  When the ring overflows events are lost, and a line says how many.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TextIO, TypeVar

import structlog

from waypost import places
from waypost.config import Audit, Decisions
from waypost.logfile import RotatingFile

log = structlog.get_logger()

T = TypeVar("T")

BATCH = 65536
LINGER_S = 0.1
"""Events gather for so long between writes, so that a busy router is not woken per call."""


class Ring(Protocol):
    """The part of `_core.Router` that hands out events."""

    def next_events(self, max: int, timeout_s: float) -> list[str]: ...

    def dropped_events(self) -> int: ...


class Sink(Protocol):
    """Where the lines go."""

    def write(self, lines: list[str]) -> None: ...


class Nowhere:
    """Takes lines and forgets them."""

    def write(self, lines: list[str]) -> None:
        pass


class Stream:
    """Writes to a stream of this process."""

    def __init__(self, stream: TextIO) -> None:
        self._logger = structlog.WriteLogger(stream)

    def write(self, lines: list[str]) -> None:
        self._logger.msg("\n".join(lines))


def sink(config: Decisions | Audit, name: str = "decisions") -> Sink:
    """The sink that `config.to` names; "file" is the log `name` at home."""
    if config.to == "none":
        return Nowhere()
    if config.to == "stderr":
        return Stream(sys.stderr)
    path = places.log(name) if config.to == "file" else Path(config.to)
    return RotatingFile(path, config.max_bytes, config.keep)


def drain(ring: Ring, sink: Sink, stop: threading.Event, linger_s: float = LINGER_S) -> None:
    """Writes the events of `ring` to `sink` until `stop` is set, and then what is left."""
    pour(lambda wait_s: ring.next_events(BATCH, wait_s), ring.dropped_events, sink, "events", stop, linger_s)


def pour(
    take: Callable[[float], list[str]],
    dropped: Callable[[], int],
    sink: Sink,
    what: str,
    stop: threading.Event,
    linger_s: float = 0.0,
) -> None:
    """Writes lines as they come until `stop` is set, and then those that are left; says how many were lost.

    Args:
        take: gives lines, after so many seconds at most.
        dropped: how many were lost since the beginning.
        what: the lines are, for the log.
        linger_s: passes before each look.
    """
    before = 0
    for lines in batches(take, stop, linger_s):
        if lines:
            write(sink, lines, what)
        before = say_dropped(what, before, dropped())


def batches(take: Callable[[float], list[T]], stop: threading.Event, linger_s: float = 0.0) -> Iterator[list[T]]:
    """What `take(seconds to wait)` gives until `stop` is set, and then what is left; may be empty now and then.

    `linger_s` passes before each look, so that more gathers.
    """
    while True:
        last = stop.wait(linger_s)
        found = take(0.0 if last else 1.0)
        yield found
        if last and not found:
            return


def write(sink: Sink, lines: list[str], what: str) -> None:
    """Writes lines; where that fails it says how many of `what` are lost: a full disk must not end the bookkeeping."""
    try:
        sink.write(lines)
    except OSError as error:
        log.error(f"{what} not written", **{what: len(lines)}, error=str(error))


def say_dropped(what: str, before: int, now: int) -> int:
    """Says how many of `what` were lost since the last look, if any; returns how many were in all."""
    if now > before:
        log.warning(f"{what} dropped", **{what: now - before})
    return now
