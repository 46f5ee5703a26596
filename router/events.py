"""Decision events: from the ring in Rust to JSON lines.

Every routed call leaves one event, already a line of JSON in the shape of structlog's (`event`, `timestamp`, …).
They are taken in bulk and written in one piece: rendering each in Python would cost more CPU than routing the call
did.  When the ring overflows events are lost, and a line says how many.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Protocol, TextIO

import structlog

from waypost import places
from waypost.config import Decisions

log = structlog.get_logger()

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
    """Appends to a file; at `max_bytes` it is renamed to `….1`, replacing the one before."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._max_bytes = max_bytes

    def write(self, lines: list[str]) -> None:
        with self._path.open("a") as file:
            file.write("\n".join(lines) + "\n")
            full = file.tell() >= self._max_bytes
        if full:
            self._path.replace(f"{self._path}.1")


def sink(config: Decisions) -> Sink:
    """The sink that `config.to` names."""
    if config.to == "none":
        return Nowhere()
    if config.to == "stderr":
        return Stream(sys.stderr)
    path = places.home() / "log" / "decisions.jsonl" if config.to == "file" else Path(config.to)
    return RotatingFile(path, config.max_bytes)


def drain(ring: Ring, sink: Sink, stop: threading.Event) -> None:
    """Writes the events of `ring` to `sink` until `stop` is set, and then what is left."""
    dropped = 0
    while True:
        last = stop.wait(LINGER_S)
        if lines := ring.next_events(BATCH, 0.0 if last else 1.0):
            write(sink, lines, "events")
        dropped = _count_dropped(ring, dropped)
        if last and not lines:
            return


def write(sink: Sink, lines: list[str], what: str) -> None:
    """Writes lines; where that fails it says how many of `what` are lost: a full disk must not end the bookkeeping."""
    try:
        sink.write(lines)
    except OSError as error:
        log.error(f"{what} not written", **{what: len(lines)}, error=str(error))


def _count_dropped(ring: Ring, before: int) -> int:
    dropped = ring.dropped_events()
    if dropped > before:
        log.warning("events dropped", events=dropped - before)
    return dropped
