"""A whole mesh whose workers are started when they are wanted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.gateway import WAYPOST, Up
from tests.life_mesh import HEAD, PATIENCE_S, Mesh, worker
from tests.plane import eventually
from waypost.client import Client
from waypost.errors import WaypostError

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """Four workers on demand, and memory for two of them; "z" is soon idle."""
    workers = [*map(worker, "abc"), worker("z", idle_s=0.5)]
    with Up(tmp_path_factory.mktemp("mesh"), HEAD + "".join(workers)) as up, Client(up.ready["operator"]) as client:
        yield Mesh(up, client)


def test_nothing_runs_before_it_is_wanted(mesh: Mesh) -> None:
    """But all models are known, and whoever looks sees who is asleep."""
    assert mesh.up.ready["instances"] == []
    assert {model.name for model in mesh.client.models()} == {f"{name}-hash" for name in "abcz"}
    assert [(mesh.state(name), mesh.pids(name)) for name in "abcz"] == [("asleep", set())] * 4
    command = (*WAYPOST, "status")
    told = subprocess.run(command, env=mesh.up.env, stdout=subprocess.PIPE, text=True, check=True, timeout=PATIENCE_S)
    assert told.stdout.count("asleep") == 4


def test_many_first_calls_make_one_start_and_the_next_finds_it_running(mesh: Mesh) -> None:
    """All are answered."""
    before = mesh.starts("a")
    with ThreadPoolExecutor(8) as callers:
        assert set(callers.map(mesh.embed, "a" * 8)) == {"a-0"}
    assert mesh.starts("a") == before + 1
    assert mesh.client.embed(["hello"], model="a-hash").routing.waited is None


def test_who_is_idle_is_ended_and_comes_back(mesh: Mesh) -> None:
    """Its process is gone, and with it its memory."""
    assert mesh.embed("z") == "z-0"
    mesh.until("z", "asleep")
    eventually(lambda: not mesh.pids("z"), PATIENCE_S)
    assert mesh.embed("z") == "z-0"


def test_who_was_not_called_makes_room_and_who_is_pinned_does_not(mesh: Mesh) -> None:
    """Memory is for two."""
    mesh.until("z", "asleep")
    for name in ("a", "b", "b"):
        mesh.embed(name)
    mesh.client.pin("a-hash")
    assert mesh.embed("c") == "c-0"
    assert [mesh.state(name) for name in "abc"] == ["ready", "asleep", "ready"]
    mesh.client.pin("a-hash", False)
    assert mesh.embed("b") == "b-0"
    assert [mesh.state(name) for name in "abc"].count("asleep") == 1


def test_calls_wait_for_a_worker_that_was_killed(mesh: Mesh) -> None:
    """It is started again, and the next call is answered."""
    mesh.embed("b")
    (pid,) = mesh.pids("b")
    psutil.Process(pid).kill()
    eventually(lambda: mesh.pids("b") - {pid}, PATIENCE_S)
    assert mesh.embed("b") == "b-0"


def test_a_router_that_is_started_anew_is_told_everything(mesh: Mesh) -> None:
    """What runs goes on, and what is asleep is started."""
    before = {name: mesh.state(name) for name in "abc"}
    mesh.up.process("router").kill()
    eventually(lambda: _states(mesh) == before, PATIENCE_S)
    assert [mesh.embed(name) for name in "abc"] == ["a-0", "b-0", "c-0"]


def _states(mesh: Mesh) -> dict[str, str]:
    try:
        return {name: mesh.state(name) for name in "abc"}
    except (WaypostError, ValueError):
        return {}
