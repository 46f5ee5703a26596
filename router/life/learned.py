"""What a worker serves, how long it takes to start and how much memory it takes: learned when it ran, kept at home.

With it the router knows what is asleep: its models are listed, chosen and waited for.  It is kept under a key made of
the worker's configuration and of Waypost's version; whatever else changes is learned with the next start.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import waypost
from waypost import catalogue, places
from waypost.config import Model, Worker, looks_like_path
from waypost.v1 import mesh_pb2

FORMAT = 1
"""To be raised when the file's meaning changes."""
ABOUT_LIFE = {
    "start",
    "replicas",
    "min_replicas",
    "idle_s",
    "priority",
    "memory_bytes",
    "restart",
    "listen",
    "tls",
    "insecure",
}
"""Keys of a worker that change nothing of what is learned."""

BASE_BYTES = 150 << 20
"""Of a worker with small models."""
FILES = 1.3
"""Memory that a model takes, for each byte of its files."""
USUAL_START_S = 3.0


@dataclass(frozen=True)
class Learned:
    """What is known of a worker; times in seconds.

    Attributes:
        memory: the most it took while it served.
        peak: the most it took until it served, the last time; loading and converting take more than serving.
        described: its answer to DescribeInstance, encoded; empty: it has not run yet.
    """

    memory: int
    start_s: float = USUAL_START_S
    peak: int = 0
    described: bytes = b""

    def description(self, instance: str) -> mesh_pb2.DescribeInstanceResponse | None:
        """What `instance` serves, one of the worker's processes."""
        if not self.described:
            return None
        found = mesh_pb2.DescribeInstanceResponse.FromString(self.described)
        found.instance = instance
        return found

    def ran(self, start_s: float, memory: int, described: mesh_pb2.DescribeInstanceResponse, peak: int = 0) -> Learned:
        """With what its last start showed."""
        most = max(memory, self.memory) if self.described else memory or self.memory
        # one start beside others on a busy machine says little
        usual = (self.start_s + start_s) / 2 if self.described else start_s
        return replace(self, memory=most, start_s=usual, peak=peak, described=described.SerializeToString())


class Notebook:
    """A worker's file."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._path = places.home() / "life" / f"{worker.name}-{key(worker)}.json"

    def read(self) -> Learned:
        """What was learned, or a guess."""
        try:
            found = json.loads(self._path.read_text())
            known = Learned(**found | {"described": base64.b64decode(found["described"])})
        except (OSError, ValueError, TypeError, KeyError):
            known = Learned(self._worker.memory_bytes or guess(self._worker))
        return replace(known, memory=max(known.memory, self._worker.memory_bytes or 0))

    def write(self, learned: Learned) -> None:
        """Keeps it for the next time.

        Raises:
            OSError: the disk is full.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(learned) | {"described": base64.b64encode(learned.described).decode()})
        fresh = self._path.with_suffix(f".{os.getpid()}")
        fresh.write_text(text)
        fresh.replace(self._path)


def key(worker: Worker) -> str:
    """Of what a worker serves, and by which code."""
    served = worker.model_dump_json(exclude=ABOUT_LIFE)
    return hashlib.sha256(repr((FORMAT, waypost.__version__, served)).encode()).hexdigest()[:16]


def guess(worker: Worker) -> int:
    """Bytes that a worker will take which has never run."""
    return BASE_BYTES + int(FILES * sum(map(_file_bytes, worker.models)))


def _file_bytes(model: Model) -> int:
    if not model.source:
        return 0
    if looks_like_path(model.source):
        return _size(Path(model.source))
    try:
        return _size(catalogue.folder_of(catalogue.find(model.source)))
    except catalogue.CatalogueError:
        return 0


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    return path.stat().st_size if path.exists() else 0
