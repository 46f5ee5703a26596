"""More processes of what is busy and fewer of what is not; processes that are slow to start, or cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.gateway import Up
from tests.life_mesh import HEAD, PATIENCE_S, Mesh, worker
from tests.plane import eventually
from waypost.client import Client
from waypost.errors import Unavailable

pytestmark = pytest.mark.timeout(300)

CANNED = """
[[workers]]
name = "canned"
start = "demand"
[[workers.models]]
name = "canned"
backend = "template"
source = "./reply.j2"
"""
GOOD, BROKEN = "Sorry.", "{% if %}"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A worker of which one process always runs, and two when it is busy; one that is slow, one that breaks."""
    folder = tmp_path_factory.mktemp("mesh")
    (folder / "reply.j2").write_text(GOOD)
    elastic = worker("elastic", 1.0, more="replicas = 2\nmin_replicas = 1")
    toml = HEAD + "busy_per_replica = 2\n" + elastic + worker("slow") + CANNED
    with Up(folder, toml) as up, Client(up.ready["operator"]) as client:
        yield Mesh(up, client)


@contextmanager
def held(process: psutil.Process) -> Iterator[None]:
    """The process does nothing inside the block."""
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def test_one_process_always_runs(mesh: Mesh) -> None:
    """The other one is asleep."""
    assert mesh.up.ready["instances"] == ["elastic-0"]
    assert mesh.state("elastic", 1) == "asleep"


def test_who_is_busy_gets_another_process_and_gives_it_back(mesh: Mesh) -> None:
    """All are answered; one of them stays."""
    with ThreadPoolExecutor(4) as callers:
        with held(mesh.process("elastic")):
            calls = [callers.submit(mesh.embed, "elastic") for _ in range(4)]
            mesh.until("elastic", "ready", 1)
        assert {call.result() for call in calls} <= {"elastic-0", "elastic-1"}
    eventually(lambda: {mesh.state("elastic", each) for each in (0, 1)} == {"asleep", "ready"}, PATIENCE_S)


def test_who_is_slow_to_start_is_waking_and_all_wait_for_it(mesh: Mesh) -> None:
    """It is told who that is, and starts once."""
    before = mesh.starts("slow")
    with ThreadPoolExecutor(2) as callers:
        calls = [callers.submit(mesh.embed, "slow")]
        with held(mesh.process("slow")):
            mesh.until("slow", "waking")
            calls.append(callers.submit(mesh.embed, "slow"))
            assert mesh.state("slow") == "waking"
        assert [call.result() for call in calls] == ["slow-0"] * 2
    assert mesh.starts("slow") == before + 1


def test_who_cannot_be_started_fails_its_calls_and_says_when_to_come_again(mesh: Mesh) -> None:
    """At once, for as long as it is left alone; others are served."""
    Path(mesh.up.env["WAYPOST_HOME"]).with_name("reply.j2").write_text(BROKEN)
    for _ in range(2):
        with pytest.raises(Unavailable) as failed:
            mesh.client.generate("hello", model="canned", timeout=PATIENCE_S)
        assert failed.value.reason == "ERROR_REASON_LOAD_FAILED"
    assert mesh.state("canned") == "down"
    assert mesh.embed("elastic").startswith("elastic-")
