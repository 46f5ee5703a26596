"""Files of JSON lines that are kept within their size: written, read from their end, followed.

The writer opens the file for each piece it appends, so that whoever rotates it need not tell anybody.  Several
processes may write to one: a piece is one `write` in append mode, and of those who find the file full at once only the
first rotates it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson

Line = dict[str, Any]
Wanted = Callable[[Line], bool]

LOOK_MS = 1000
"""Followers look so often even if nothing is announced: a change may come just before they are told of changes."""


class RotatingFile:
    """Appends to a file that only this user reads; at `max_bytes` it is renamed to `….1`, and that one to `….2`.

    `keep` of these stay.
    """

    def __init__(self, path: Path, max_bytes: int, keep: int = 1) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep

    def write(self, lines: Sequence[str]) -> None:
        """Appends these lines in one piece.

        Raises:
            OSError: the disk is full, or the folder is gone.
        """
        with open(self._path, "ab", opener=_private) as file:
            file.write(("\n".join(lines) + "\n").encode())
            file.flush()
            if file.tell() < self._max_bytes:
                return
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(file, self._path):
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


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether a name still is that of the open file."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def last(path: Path, wanted: Wanted, most: int = 0, having: bytes = b"") -> list[Line]:
    """The last wanted lines of the file and of those it was before, the oldest first; 0: all of them.

    Lines without `having` are not looked into, which is much quicker where few have it.

    Raises:
        FileNotFoundError: there is none of them.
    """
    files = [*([path] if path.exists() else []), *_older(path)]
    if not files:
        raise FileNotFoundError(2, "no log", str(path))
    texts = (text for file in files for text in _reversed(file) if having in text)
    newest_first = parsed(texts, wanted)
    return [*islice(newest_first, most or None)][::-1]


def first(path: Path) -> Line | None:
    """The oldest line that is kept; None: there is none."""
    for file in [*reversed(_older(path)), path]:
        with suppress(FileNotFoundError), file.open("rb") as lines:
            return next(parsed(lines, lambda line: True), None)
    return None


def _older(path: Path) -> list[Path]:
    """`….1`, `….2`, as far as they go."""
    numbered = [each for each in path.parent.glob(f"{path.name}.*") if each.suffix[1:].isdecimal()]
    return sorted(numbered, key=lambda each: int(each.suffix[1:]))


def _reversed(path: Path) -> Iterator[bytes]:
    """The lines of a file from its end, so that the last few of many cost little."""
    with path.open("rb") as file, suppress(ValueError), mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        end = len(text)
        while end > 0:
            begin = text.rfind(b"\n", 0, end - 1) + 1
            yield text[begin:end]
            end = begin


def follow(tail: Tail, wanted: Wanted, stop: threading.Event) -> Iterator[Line]:
    """The wanted lines that are written after `tail` was opened, until `stop` is set; also across a rotation."""
    import watchfiles

    yield from parsed(tail.more(), wanted)
    changes = watchfiles.watch(
        tail.folder,
        stop_event=stop,
        watch_filter=None,
        step=50,
        recursive=False,
        rust_timeout=LOOK_MS,
        yield_on_timeout=True,
    )
    for _ in changes:
        yield from parsed(tail.more(), wanted)


class Tail:
    """What is appended to a file from now on, whatever file is behind its name."""

    def __init__(self, path: Path) -> None:
        self.folder = path.parent
        self._path = path
        self._file: BinaryIO | None = None
        self._begun = b""
        self._open()
        if self._file:
            self._file.seek(0, os.SEEK_END)

    def _open(self) -> None:
        with suppress(FileNotFoundError):
            self._file = self._path.open("rb")

    def more(self) -> Iterator[bytes]:
        """The whole lines since the last look."""
        yield from self._read()
        if self._is_another():
            self.close()
            self._open()
            yield from self._read()

    def _read(self) -> Iterator[bytes]:
        for piece in self._file or ():
            self._begun += piece
            if piece.endswith(b"\n"):
                line, self._begun = self._begun, b""
                yield line

    def close(self) -> None:
        """Lets go of the file, and of a line that was not finished."""
        self._begun = b""
        if self._file:
            self._file.close()

    def _is_another(self) -> bool:
        if not self._path.exists():
            return False
        return not self._file or not _is_at(self._file, self._path)


def parsed(lines: Iterable[bytes], wanted: Wanted) -> Iterator[Line]:
    """Wanted lines that are whole: a crash may have left half of one."""
    for text in lines:
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            line = orjson.loads(text)
            if wanted(line):
                yield line
