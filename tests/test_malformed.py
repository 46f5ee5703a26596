"""50,000 malformed frames: nothing crashes, nothing hangs, nothing leaks, and the next good call is answered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

import waypost
from tests.malformed import Attack
from tests.plane import eventually

CONFIG = """
[router.decisions]
to = "none"
[[workers]]
name = "local"
[[workers.models]]
name = "hash"
backend = "hash"
heads = ["sentiment-hash"]
[[workers.models]]
name = "canned"
backend = "template"
"""

LEAK_BYTES = 48 * 2**20
"""What allocators keep of a storm is not lost; what is lost grows with the storm, and this is 1 KiB a frame."""


@dataclass
class Mesh:
    """A running mesh and its processes."""

    address: str
    processes: list[psutil.Process]
    log: Path
    """What its processes write on standard error."""

    def worker(self) -> str:
        with waypost.Client(self.address) as client:
            return client.instances()[0].address

    def busy(self) -> int:
        """Calls under way, as the router and its workers count them; the asking itself is no call of a model."""
        with waypost.Client(self.address) as client:
            return sum(each.in_flight for each in client.instances())

    def open_files(self) -> int:
        return sum(process.num_fds() for process in self.processes)

    def resident(self) -> list[int]:
        return [process.memory_info().rss for process in self.processes]


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Mesh]:
    file = tmp_path / "mesh.toml"
    file.write_text(CONFIG)
    env = os.environ | {"WAYPOST_RUNTIME": str(tmp_path / "r"), "WAYPOST_HOME": str(tmp_path / "home")}
    command = (sys.executable, "-P", "-m", "waypost", "up", "-c", str(file), "--listen", "127.0.0.1:0", "--json")
    log, pipe = tmp_path / "stderr", subprocess.PIPE
    with (
        log.open("w") as errors,
        subprocess.Popen((*command, "--lifeline"), env=env, stdin=pipe, stdout=pipe, stderr=errors) as up,
    ):
        assert up.stdout
        address = json.loads(up.stdout.readline())["grpc"]
        yield Mesh(address, psutil.Process(up.pid).children(recursive=True), log)
        up.terminate()
        up.wait(timeout=60)


@pytest.mark.timeout(300)
def test_50_000_malformed_frames_crash_nothing_and_leak_nothing(mesh: Mesh) -> None:
    # What a process allocates once for its first thousands of calls is no leak.
    warm = Attack(mesh.address, seed=1)
    warm.messages(4_000)
    warm.frames(2_000)
    quiet = eventually(lambda: mesh.busy() == 0 and mesh.open_files())
    before = mesh.resident()
    for place, seed, messages, frames in ((mesh.address, 2, 30_000, 10_000), (mesh.worker(), 3, 7_000, 3_000)):
        attack = Attack(place, seed)
        attack.messages(messages)
        attack.frames(frames)
        assert attack.sent == messages + frames
    assert all(process.is_running() for process in mesh.processes), "a process died, and was started again"
    assert "panicked" not in mesh.log.read_text()
    assert eventually(lambda: mesh.busy() == 0), "calls are still under way"
    assert eventually(lambda: mesh.open_files() <= quiet + 2), f"{mesh.open_files()} open files, {quiet} before"
    grown = [after - earlier for after, earlier in zip(mesh.resident(), before, strict=True)]
    assert max(grown) < LEAK_BYTES, f"processes grew by {grown} bytes"
    with waypost.Client(mesh.address) as client:
        assert client.embed(["still here"], model="hash").vectors.shape == (1, 1024)
