"""Decision events: from the ring in Rust to JSON lines.

Every routed call leaves one event, already a line of JSON in the shape of structlog's (`event`, `timestamp`, …).
They are taken in bulk and written in one piece: rendering each in Python would cost more CPU than routing the call
did.  When the ring overflows events are lost, and a line says how many.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TextIO, TypeVar

import structlog

from waypost import places
from waypost.config import Audit, Decisions

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


class RotatingFile:
    """Appends to a file that only this user reads; at `max_bytes` it is renamed to `….1`, and that one to `….2`.

    `keep` of these stay.
    """

    def __init__(self, path: Path, max_bytes: int, keep: int = 1) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep

    def write(self, lines: list[str]) -> None:
        with open(self._path, "a", opener=_private) as file:
            file.write("\n".join(lines) + "\n")
            full = file.tell() >= self._max_bytes
        if full:
            self._rotate()

    def _rotate(self) -> None:
        for older in range(self._keep - 1, 0, -1):
            if (before := Path(f"{self._path}.{older}")).exists():
                before.replace(f"{self._path}.{older + 1}")
        self._path.replace(f"{self._path}.1")


def _private(path: str, flags: int) -> int:
    """Opens a file for this user alone, also one that was made when others could still read it."""
    opened = os.open(path, flags, 0o600)
    os.fchmod(opened, 0o600)
    return opened


def sink(config: Decisions | Audit, name: str = "decisions") -> Sink:
    """The sink that `config.to` names; "file" is the log `name` at home."""
    if config.to == "none":
        return Nowhere()
    if config.to == "stderr":
        return Stream(sys.stderr)
    path = places.log(name) if config.to == "file" else Path(config.to)
    return RotatingFile(path, config.max_bytes, config.keep if isinstance(config, Audit) else 1)


def drain(ring: Ring, sink: Sink, stop: threading.Event) -> None:
    """Writes the events of `ring` to `sink` until `stop` is set, and then what is left."""
    dropped = 0
    for lines in batches(lambda wait_s: ring.next_events(BATCH, wait_s), stop, LINGER_S):
        if lines:
            write(sink, lines, "events")
        dropped = say_dropped("events", dropped, ring.dropped_events())


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
