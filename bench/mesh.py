"""A mesh for one bench: `with running(config) as mesh`, real processes on free ports, gone when the block is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import psutil
from numpy.typing import NDArray

from waypost import _core


@dataclass(frozen=True)
class Mesh:
    """A running mesh."""

    address: str
    pid: int
    instances: tuple[str, ...]
    http: str | None = None

    def worker_pids(self) -> list[int]:
        """The workers' processes."""
        return self._children("worker")

    def router_pid(self) -> int:
        """The router's process."""
        return self._children("router")[0]

    def gateway(self) -> psutil.Process:
        """The HTTP gateway's process."""
        return psutil.Process(self._children("http")[0])

    def _children(self, kind: str) -> list[int]:
        children = psutil.Process(self.pid).children()
        return [child.pid for child in children if kind in child.cmdline()[:5]]


@contextmanager
def running(toml: str, log: IO[str] | None = None) -> Iterator[Mesh]:
    """Runs `waypost up` on the configuration `toml`; its router gets a free port, and keeps no answers unless told to,
    so that every call is worked on.  Its logs go to `log`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "waypost.toml"
        path.write_text(toml if "[router.cache]" in toml else f"{toml}\n[router.cache]\nenabled = false\n")
        command = [sys.executable, "-m", "waypost", "up", "--config", str(path), "--json", "--lifeline"]
        command += ["--listen", "127.0.0.1:0"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as process:
            try:
                yield _ready(process)
            finally:
                process.terminate()
                process.wait(timeout=60)


def _ready(process: subprocess.Popen[str]) -> Mesh:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("the mesh did not start: its log is above")
    said = json.loads(line)
    return Mesh(said["grpc"], said["pid"], tuple(said["instances"]), said["http"])


def load(
    address: str,
    path: str,
    payloads: Sequence[bytes],
    clients: int,
    seconds: float,
    rate: float | None = None,
    key: str | None = None,
) -> tuple[NDArray[np.float64], float]:
    """Latencies of the calls and the time they took, in seconds; a failed call ends the bench."""
    latencies, _, codes, elapsed = _core.load(
        address, path, payloads, clients=clients, duration_s=seconds, rate=rate, key=key
    )
    if set(codes) != {0}:
        raise RuntimeError(f"{address}: calls failed: {codes}")
    return latencies, elapsed


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, its threads included."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def pin(pid: int, cores: set[int]) -> None:
    """Keeps a process on `cores`."""
    os.sched_setaffinity(pid, cores)
