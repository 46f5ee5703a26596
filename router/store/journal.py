"""The journal: what happened, written down before anything else is done with it.

A write-ahead log of plain lines.  `append` returns when the system has its lines: from then on a killed process loses
none.  `sync`, from a thread of its own, brings them to the disk, all that came meanwhile with one `fdatasync`: from
then on a machine that stops loses none either.  Appending does not wait for it, since a disk may take a second, in
which lines would wait in this process's memory, and be lost with it.  Whoever brings lines into the database reads
from here, in order, and tells how far it came; what is behind is deleted.  The files are the queue, and
their size its bound.

Each process has a journal of its own, a folder with a lock, and takes over those of processes that are gone.  A
position is the number of bytes before a line since the journal began; with the journal's name it names the line for
ever.  Files are called after their first position.  A crash may leave half a line at the end of a file: nobody was told
that it was kept, and it is passed over.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

import structlog

log = structlog.get_logger()

SEGMENT_BYTES = 8 << 20
"""A file that is as large is followed by another one."""
TIDY_BYTES = 256 << 10
"""A smaller file is not deleted as soon as it is done with, or a quiet router would make one a second."""
PIECE_BYTES = 4 << 20
"""Of a file, so much is read at a time."""
SYNC_S = 0.02
"""Lines gather for so long before they are brought to the disk."""
LOOK_S = 1.0
"""Longest wait for lines to bring to the disk, after which it is seen whether there is a reason to stop."""
SUFFIX = ".lines"
LOCK = "lock"


@dataclass
class Segment:
    """A file of the journal: `base` is the position of its first byte."""

    path: Path
    base: int
    size: int

    @property
    def end(self) -> int:
        return self.base + self.size


@dataclass(frozen=True)
class Entry:
    """A line: where it stands, what kind it is, and its JSON."""

    position: int
    kind: str
    line: bytes


class Journal:
    """One journal, of which this process has the lock.

    Attributes:
        lost: lines that were not kept, since the journal was full or the disk was.
        synced: what is before this position is on disk.
        reserved: bytes of `max_bytes` that are taken by journals of others.
    """

    def __init__(self, folder: Path, lock: BinaryIO, max_bytes: int) -> None:
        self.name = folder.name
        self.lost = 0
        self.reserved = 0
        self._folder = folder
        self._lock = lock
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._segments = [_segment(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]
        self._file: BinaryIO | None = None
        self._full: list[BinaryIO] = []
        self._is_named = True
        self.end = self.synced = self._segments[-1].end if self._segments else 0

    @property
    def size(self) -> int:
        """Bytes on disk."""
        with self._changed:
            return sum(segment.size for segment in self._segments)

    # ---- writing ----

    def append(self, kind: str, lines: Sequence[str]) -> list[int]:
        """Writes lines of JSON; when it returns they outlive this process.

        Returns:
            the position of each; none where they could not be kept, which `lost` counts.
        """
        if not lines:
            return []
        encoded = [f"{kind}{line}\n".encode() for line in lines]
        data = b"".join(encoded)
        with self._changed:
            start = self.end
            if not self._fits(len(data)) or not self._write(data):
                self.lost += len(lines)
                return []
            self._changed.notify_all()
        return [*accumulate(map(len, encoded[:-1]), initial=start)]

    def _fits(self, size: int) -> bool:
        return self.reserved + size + sum(segment.size for segment in self._segments) <= self._max_bytes

    def _write(self, data: bytes) -> bool:
        try:
            file, segment = self._open()
        except OSError:
            return False
        with suppress(OSError):
            written = file.write(data)
            if written == len(data):
                segment.size += written
                self.end = segment.end
                return True
        with suppress(OSError):
            file.truncate(segment.size)  # half a line would spoil the next one
        return False

    def _open(self) -> tuple[BinaryIO, Segment]:
        if self._file and self._segments[-1].size < SEGMENT_BYTES:
            return self._file, self._segments[-1]
        path = self._folder / f"{self.end:020d}{SUFFIX}"
        opened = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0)
        self._is_named = False
        if self._file:
            self._full.append(self._file)
        self._file = opened
        self._segments.append(Segment(path, self.end, 0))
        return opened, self._segments[-1]

    def _close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    # ---- on disk ----

    def sync(self) -> None:
        """Returns when all that was appended before is on disk.

        Raises:
            OSError: the disk failed; what was appended is in memory of the system, which may bring it there yet.
        """
        with self._changed:
            files, self._full = self._full, []
            if self._file:
                files.append(os.fdopen(os.dup(self._file.fileno()), "ab", buffering=0))
            end, is_named, self._is_named = self.end, self._is_named, True
        with ExitStack() as stack:
            for file in map(stack.enter_context, files):
                os.fdatasync(file.fileno())
            if not is_named:
                _sync(self._folder)
        self.synced = end

    def keep_synced(self, stop: threading.Event) -> None:
        """Brings to the disk what is appended, until `stop` is set."""
        while not stop.wait(SYNC_S):
            if self.wait(self.synced, LOOK_S):
                self._sync_or_say()

    def _sync_or_say(self) -> None:
        try:
            self.sync()
        except OSError as error:
            log.error("journal not synced", error=str(error))
            self.synced = self.end

    # ---- reading ----

    def wait(self, position: int, timeout_s: float) -> bool:
        """Whether there is something from `position` on; waits for it."""
        with self._changed:
            return self._changed.wait_for(lambda: self.end > position, timeout_s)

    def read(self, position: int, most: int) -> tuple[list[Entry], int]:
        """Up to `most` lines from `position` on, and the position after them."""
        with self._changed:
            found = next((segment for segment in self._segments if segment.end > position), None)
            size = found.size if found else 0
        if not found:
            return [], max(position, self.end)
        start = max(position, found.base)
        data, whole = _piece(found.path, start - found.base, size)
        lines = data.split(b"\n", most)[:-1]
        starts = [*accumulate((len(line) + 1 for line in lines), initial=start)]
        entries = [Entry(at, chr(line[0]), line[1:]) for at, line in zip(starts, lines, strict=False) if line]
        # What is left after the last line of a file that nobody writes to any more is the half of one.
        end = found.base + size if whole and len(lines) < most else starts[-1]
        return entries, end

    def done(self, position: int, *, tidy: bool = False) -> None:
        """What is before `position` is not needed any more; with `tidy` none of it stays on disk."""
        with self._changed:
            gone = [segment for segment in self._segments if segment.end <= position]
            if self._file and gone and gone[-1] is self._segments[-1]:
                if gone[-1].size < TIDY_BYTES and not tidy:
                    gone.pop()
                else:
                    self._close()
            for segment in gone:
                segment.path.unlink(missing_ok=True)
                self._segments.remove(segment)

    def forget(self, before: float) -> None:
        """Deletes files that were last written before that moment, whether anybody read them or not."""
        with self._changed:
            for segment in self._segments[: -1 if self._file else None]:
                if segment.path.exists() and segment.path.stat().st_mtime < before:
                    segment.path.unlink()
                    self._segments.remove(segment)

    def close(self) -> bool:
        """Lets go of it, and removes it where nothing is left in it; whether nothing is."""
        self._sync_or_say()
        with self._changed:
            self._close()
            empty = not self._segments
            if empty:
                shutil.rmtree(self._folder, ignore_errors=True)
            self._lock.close()
        return empty


def _segment(path: Path) -> Segment:
    return Segment(path, int(path.name.removesuffix(SUFFIX)), path.stat().st_size)


def _piece(path: Path, offset: int, size: int) -> tuple[bytes, bool]:
    """Whole lines from there, and whether that is all; a line that is longer than a piece is read whole."""
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(min(PIECE_BYTES, size - offset))
        if b"\n" not in data:
            data += file.read(size - offset - len(data))
    return data, offset + len(data) >= size


def _sync(folder: Path) -> None:
    """The name of a new file is on disk, too."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def open_journals(root: Path, max_bytes: int) -> tuple[Journal, list[Journal]]:
    """A new journal for this process, and those that processes left which are gone: all together within `max_bytes`.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (root / LOCK).open("wb") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)  # nobody takes a journal over that is just being made
        found = [_locked(folder, max_bytes) for folder in sorted(root.iterdir()) if folder.is_dir()]
        left = [journal for journal in found if journal]
        folder = root / f"{int(time.time()):08x}{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700)
        _sync(root)
        own = _locked(folder, max_bytes)
    assert own
    own.reserved = sum(journal.size for journal in left)
    return own, left


def _locked(folder: Path, max_bytes: int) -> Journal | None:
    """None: its process is alive."""
    lock = (folder / LOCK).open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return Journal(folder, lock, max_bytes)


def waiting(root: Path) -> dict[str, int]:
    """Bytes on disk of each journal, whoever has it."""
    return {
        folder.name: sum(path.stat().st_size for path in folder.glob(f"*{SUFFIX}"))
        for folder in (sorted(root.iterdir()) if root.is_dir() else ())
        if folder.is_dir()
    }
