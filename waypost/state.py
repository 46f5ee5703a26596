"""Which meshes run on this machine: one folder each, with a locked file that says where to call.

`waypost up` holds the lock; the system lets go of it when the process ends, however it ends.  So a folder without a
lock is left over, and no process number is ever taken for another's.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from waypost import places

_FILE = "mesh.json"


@dataclass(frozen=True)
class MeshState:
    """A running mesh: process number of its `waypost up`, and its addresses; `operator` is for who may open it."""

    pid: int
    grpc: str
    http: str | None = None
    operator: str | None = None


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder for this process's mesh: its sockets, its configuration, its state.  Left-over ones of others go."""
    root = places.runtime()
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    _tidy(root)
    own = root / str(os.getpid())
    own.mkdir(exist_ok=True, mode=0o700)
    try:
        with _locked(own / _FILE):
            yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)


def publish(own: Path, state: MeshState) -> None:
    """Lets others find the mesh of the folder `own`."""
    (own / _FILE).write_text(json.dumps(asdict(state)))


def running() -> list[MeshState]:
    """The meshes that can be called now, the one started last first."""
    files = [path for path in places.runtime().glob(f"*/{_FILE}") if _held(path)]
    files.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return [MeshState(**json.loads(text)) for path in files if (text := path.read_text())]


def _tidy(root: Path) -> None:
    for path in root.glob(f"*/{_FILE}"):
        if not _held(path):
            shutil.rmtree(path.parent, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _held(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
