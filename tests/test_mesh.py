"""The whole mesh as users run it: `waypost up` with real processes, over real sockets, without a model to fetch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import waypost
from waypost import errors

PATIENCE_S = 60.0
WAYPOST = (sys.executable, "-P", "-m", "waypost")
CONFIG = """
[router]
listen = "127.0.0.1:0"
probe_interval_s = 0.2
# Every call is to reach a worker.
[router.cache]
enabled = false
[router.decisions]
to = "{folder}/decisions.jsonl"
[[workers]]
name = "local"
replicas = {replicas}
[[workers.models]]
name = "hash"
backend = "hash"
dimensions = 64
"""


class Mesh:
    """A running `waypost up`."""

    def __init__(self, folder: Path, replicas: int) -> None:
        self.folder = folder
        self.file = folder / "waypost.toml"
        self.file.write_text(CONFIG.format(folder=folder, replicas=replicas))
        self.env = os.environ | {"WAYPOST_RUNTIME": str(folder / "r"), "WAYPOST_HOME": str(folder / "home")}
        self.log = (folder / "log").open("w+")
        self.popen = subprocess.Popen(
            (*WAYPOST, "up", "--config", str(self.file), "--json"),
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=self.env,
            text=True,
        )
        assert self.popen.stdout
        line = self.popen.stdout.readline()
        assert line, self.logged()
        self.ready = json.loads(line)
        self.address = str(self.ready["grpc"])

    def logged(self) -> str:
        """Everything the mesh has written to stderr so far."""
        return (self.folder / "log").read_text()

    def processes(self, *words: str) -> list[psutil.Process]:
        """The mesh's processes that live now and have these words in their command lines."""
        commands = [(each, each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"])]
        mine = [(each, command) for each, command in commands if str(self.folder) in " ".join(command)]
        return [each for each, command in mine if set(words) <= set(command)]

    def worker(self, replica: int = 0) -> psutil.Process:
        """The process that serves now under an instance's name."""
        (found,) = self.processes("worker", str(replica))
        return found

    def gone(self) -> bool:
        """Whether every process of the mesh ends in time."""
        return not psutil.wait_procs(self.processes(), timeout=PATIENCE_S)[1]

    def close(self) -> None:
        """Leaves nothing behind, whatever the test did."""
        self.popen.kill()
        self.popen.wait()
        for process in self.processes():
            process.kill()
        assert self.popen.stdout
        self.popen.stdout.close()
        self.log.close()


Up = Callable[..., Mesh]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """Starts meshes that end with the test."""
    started: list[Mesh] = []

    def start(replicas: int = 1) -> Mesh:
        started.append(Mesh(tmp_path, replicas))
        return started[-1]

    yield start
    for mesh in started:
        mesh.close()


def eventually(check: Callable[[], Any]) -> Any:
    """What `check` returns once it neither is false nor raises that the mesh is unavailable."""
    patience = threading.Event()
    for _ in range(int(PATIENCE_S / 0.05)):
        try:
            if found := check():
                return found
        except errors.RetryableError:
            pass
        patience.wait(0.05)
    raise AssertionError("it did not happen")


def test_a_mesh_serves_and_a_signal_ends_all_of_it(up: Up) -> None:
    """Embed and rerank through the router; SIGTERM: exit code 0, no process, no runtime folder."""
    mesh = up()
    with waypost.Client(mesh.address) as client:
        assert client.embed(["hello"]).vectors.shape == (1, 64)
        assert client.rerank("red car", ["a blue boat", "the red car"]).ranking[0].index == 1
        assert client.health() == "SERVING"
        assert [each.state for each in client.instances()] == ["ready"]
    mesh.popen.terminate()
    assert mesh.popen.wait(PATIENCE_S) == 0
    assert mesh.gone()
    assert list((mesh.folder / "r").iterdir()) == []


def test_every_routed_call_leaves_a_line_of_json(up: Up) -> None:
    """Written by the end at the latest."""
    mesh = up()
    with waypost.Client(mesh.address) as client:
        client.embed(["a"])
        client.embed(["b"])
    mesh.popen.terminate()
    mesh.popen.wait(PATIENCE_S)
    lines = [json.loads(line) for line in (mesh.folder / "decisions.jsonl").read_text().splitlines()]
    assert len(lines) == 2


def test_status_finds_the_running_mesh(up: Up) -> None:
    """Without being told its address."""
    mesh = up()
    done = subprocess.run((*WAYPOST, "status", "--json"), env=mesh.env, capture_output=True, text=True, check=True)
    status = json.loads(done.stdout)
    assert (status["grpc"], status["http"]) == (mesh.address, None)
    assert [each["instance"] for each in status["instances"]] == ["local-0"]
    assert [each["name"] for each in status["models"]] == ["hash"]


def test_a_killed_worker_is_back(up: Up) -> None:
    """With one instance the calls in between are UNAVAILABLE and say when to come back."""
    mesh = up()
    worker = mesh.worker()
    with waypost.Client(mesh.address) as client:
        client.embed(["a"])
        worker.kill()
        eventually(lambda: client.embed(["a"], timeout=5.0))
    assert mesh.worker().pid != worker.pid
    assert '"crashed"' in mesh.logged()


def test_a_killed_worker_costs_no_call_while_another_lives(up: Up) -> None:
    """Calls under way at the dead one are retried at the other."""
    mesh = up(replicas=2)
    with waypost.Client(mesh.address) as client, Load(client) as load:
        load.wait_for(50)
        mesh.worker(0).kill()
        load.wait_for(load.calls + 200)
    assert load.failures == []


def test_a_drain_under_load_fails_no_call(up: Up) -> None:
    """One of two workers is asked to stop while calls go through; the supervisor starts it again."""
    mesh = up(replicas=2)
    with waypost.Client(mesh.address) as client, Load(client) as load:
        load.wait_for(50)
        mesh.worker(0).terminate()
        load.wait_for(load.calls + 200)
    assert load.failures == []


def test_a_killed_supervisor_takes_its_children_along(up: Up) -> None:
    """SIGKILL leaves it no time to stop them: they notice."""
    mesh = up()
    assert len(mesh.processes("router")) == len(mesh.processes("worker")) == 1
    mesh.popen.kill()
    assert mesh.gone()


def test_the_second_signal_leaves_at_once(up: Up) -> None:
    """Also with a worker that cannot end."""
    mesh = up()
    mesh.worker().send_signal(signal.SIGSTOP)
    mesh.popen.terminate()
    psutil.wait_procs(mesh.processes("router"), timeout=PATIENCE_S)
    mesh.popen.terminate()
    mesh.popen.wait(PATIENCE_S)
    assert mesh.gone()


def test_a_worker_that_keeps_crashing_is_given_up_loudly(up: Up) -> None:
    """Nothing is left to serve with: the command ends with exit code 1 and says why."""
    mesh = up()
    while mesh.popen.poll() is None:
        for process in mesh.processes("worker"):
            process.kill()
            psutil.wait_procs([process], timeout=PATIENCE_S)
    assert mesh.popen.wait(PATIENCE_S) == 1
    assert '"given up"' in mesh.logged()
    assert "nothing is left to serve with" in mesh.logged()
    assert mesh.gone()


class Load:
    """Calls from threads, for as long as the block lasts."""

    def __init__(self, client: waypost.Client, threads: int = 4) -> None:
        self.calls = 0
        self.failures: list[Exception] = []
        self._client = client
        self._changed = threading.Condition()
        self._stop = False
        self._threads = [threading.Thread(target=self._call) for _ in range(threads)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop = True
        for thread in self._threads:
            thread.join()

    def wait_for(self, calls: int) -> None:
        """Returns when so many calls have ended."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.calls >= calls, PATIENCE_S)

    def _call(self) -> None:
        while not self._stop:
            self._count(self._failure())

    def _failure(self) -> Exception | None:
        try:
            self._client.embed(["some text"], timeout=10.0)
        except Exception as error:
            return error
        return None

    def _count(self, failure: Exception | None) -> None:
        with self._changed:
            self.calls += 1
            self.failures += [failure] if failure else []
            self._changed.notify_all()
