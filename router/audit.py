"""The record of what was changed and who was refused: from the ring in Rust to a file, and back from there.

Each line is JSON: `timestamp`, `who` (tenant, role, the token's public part; null for somebody unknown), `from` and
`door` (where the call came in), `method`, `outcome` (a status code) and `detail`.  Neither texts nor secrets are in it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TextIO

import watchfiles

from router.events import Sink, batches, say_dropped, write

BATCH = 4096

Line = dict[str, Any]


class Core(Protocol):
    """The part of `_core.Router` that hands out lines."""

    def next_audits(self, max: int, timeout_s: float) -> list[str]: ...

    def dropped_audits(self) -> int: ...


def drain(core: Core, sink: Sink, stop: threading.Event) -> None:
    """Writes lines as they come until `stop` is set, and then those that are left; says how many were lost."""
    dropped = 0
    for lines in batches(lambda wait_s: core.next_audits(BATCH, wait_s), stop):
        if lines:
            write(sink, lines, "audits")
        dropped = say_dropped("audits", dropped, core.dropped_audits())


@dataclass(frozen=True)
class Wanted:
    """Which lines are of interest; what is empty is not looked at.

    Attributes:
        since: not before this moment.
        who: the name of a tenant, a role, or the public part of a token.
        method: part of its name, such as "Token" or "MeshService/SetRollout".
        outcome: such as "PERMISSION_DENIED".
    """

    since: datetime | None = None
    who: str = ""
    method: str = ""
    outcome: str = ""

    def __call__(self, line: Line) -> bool:
        who, at = line.get("who") or {}, datetime.fromisoformat(line["timestamp"])
        return (
            (not self.since or at >= self.since)
            and (not self.who or self.who in (who.get("tenant"), who.get("role"), who.get("token")))
            and self.method.lower() in str(line.get("method", "")).lower()
            and self.outcome.upper() in ("", line.get("outcome"))
        )


def read(path: Path, wanted: Callable[[Line], bool]) -> Iterator[Line]:
    """The wanted lines of the file and of those it was before, the oldest first.

    Raises:
        FileNotFoundError: there is none of them.
    """
    files = [*reversed(_older(path)), *([path] if path.exists() else [])]
    if not files:
        raise FileNotFoundError(2, "no audit log", str(path))
    for file in files:
        with file.open() as lines:
            yield from _parsed(lines, wanted)


def _older(path: Path) -> list[Path]:
    """`….1`, `….2`, as far as they go."""
    numbered = [each for each in path.parent.glob(f"{path.name}.*") if each.suffix[1:].isdecimal()]
    return sorted(numbered, key=lambda each: int(each.suffix[1:]))


def follow(path: Path, wanted: Callable[[Line], bool], stop: threading.Event) -> Iterator[Line]:
    """The wanted lines that are written from now on, until `stop` is set; also across a rotation."""
    changes = watchfiles.watch(path.parent, stop_event=stop, watch_filter=None, step=50, recursive=False)
    with closing(Tail(path)) as tail:
        for _ in changes:
            yield from _parsed(tail.more(), wanted)


class Tail:
    """What is appended to a file, whatever file is behind its name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._open()
        if self._file:
            self._file.seek(0, os.SEEK_END)

    def _open(self) -> None:
        with suppress(FileNotFoundError):
            self._file = self._path.open()

    def more(self) -> Iterator[str]:
        """The lines since the last look."""
        yield from self._file or ()
        if self._is_another():
            self.close()
            self._open()
            yield from self._file or ()

    def close(self) -> None:
        if self._file:
            self._file.close()

    def _is_another(self) -> bool:
        if not self._path.exists():
            return False
        return not self._file or os.fstat(self._file.fileno()).st_ino != self._path.stat().st_ino


def _parsed(lines: Iterator[str] | TextIO, wanted: Callable[[Line], bool]) -> Iterator[Line]:
    """Lines that are whole: a crash may have left half of one."""
    for text in lines:
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            line = json.loads(text)
            if wanted(line):
                yield line
