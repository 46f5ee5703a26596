"""The supervisor with scripted children and a clock of its own, and once with real processes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest

from router.child import ChildSpec, Process, ready_line
from router.restarts import RestartPolicy
from router.supervisor import EXIT_USELESS, Keeper, Supervisor


class ScriptedChild:
    """Serves until it is told to end, by a test or by the supervisor."""

    def __init__(self, spec: ChildSpec, stubborn: bool) -> None:
        self.pid = 1
        self.name = spec.name
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._stubborn = stubborn

    async def ready(self) -> str | None:
        return f"unix:/{self.name}"

    async def wait(self) -> int:
        return await self.ended

    def end(self, code: int) -> None:
        if not self.ended.done():
            self.ended.set_result(code)

    def terminate(self) -> None:
        if not self._stubborn:
            self.end(0)

    def kill(self) -> None:
        self.end(-9)


@dataclass
class Stage:
    """Spawns scripted children, and a clock that only sleeping moves."""

    now: float = 0.0
    stubborn: bool = False
    pauses: list[float] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    spawned: asyncio.Queue[ScriptedChild] = field(default_factory=asyncio.Queue)

    async def spawn(self, spec: ChildSpec) -> ScriptedChild:
        child = ScriptedChild(spec, self.stubborn)
        child.ended.add_done_callback(lambda _: self.order.append(spec.name))
        self.spawned.put_nowait(child)
        return child

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def keeper(self, name: str, **policy: Any) -> Keeper:
        spec = ChildSpec(name, (), stop_s=0.01)
        return Keeper(spec, self.spawn, RestartPolicy(**policy), lambda: self.now, self.sleep)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a test in an event loop, for at most ten seconds."""
    asyncio.run(asyncio.wait_for(test(), 10.0))


def test_a_crashed_child_starts_again_after_a_growing_pause() -> None:
    """Every crash is followed by a new child; the pauses double."""

    async def scene() -> None:
        stage = Stage()
        keeper = stage.keeper("worker", first_s=1.0, crashes=10)
        kept = asyncio.create_task(keeper.keep())
        for _ in range(3):
            (await stage.spawned.get()).end(1)
        await stage.spawned.get()
        assert stage.pauses == [1.0, 2.0, 4.0]
        await keeper.stop()
        await kept

    run(scene)


def test_a_child_that_keeps_crashing_is_given_up() -> None:
    """The keeper ends by itself."""

    async def scene() -> None:
        stage = Stage()
        keeper = stage.keeper("worker", crashes=2)
        kept = asyncio.create_task(keeper.keep())
        for _ in range(2):
            (await stage.spawned.get()).end(1)
        await kept
        assert keeper.ended.is_set()

    run(scene)


def test_a_child_with_a_wrong_configuration_is_given_up_at_once() -> None:
    """Its exit code says that another start would not help."""

    async def scene() -> None:
        stage = Stage()
        kept = asyncio.create_task(stage.keeper("worker").keep())
        (await stage.spawned.get()).end(EXIT_USELESS)
        await kept
        assert stage.pauses == []

    run(scene)


def test_a_child_that_does_not_end_is_killed() -> None:
    """After its time to stop."""

    async def scene() -> None:
        stage = Stage(stubborn=True)
        keeper = stage.keeper("worker")
        kept = asyncio.create_task(keeper.keep())
        child = await stage.spawned.get()
        await keeper.stop()
        assert child.ended.result() == -9
        await kept

    run(scene)


def test_the_router_stops_before_its_workers() -> None:
    """Calls under way still find their workers."""

    async def scene() -> None:
        stage = Stage()
        supervisor = Supervisor(stage.keeper("router"), [stage.keeper("a"), stage.keeper("b")])
        running = asyncio.create_task(supervisor.run())
        await supervisor.settled()
        supervisor.stop()
        assert await running is True
        assert stage.order[0] == "router"
        assert sorted(stage.order) == ["a", "b", "router"]

    run(scene)


def test_a_second_stop_ends_everything_at_once() -> None:
    """Children that would not drain are killed."""

    async def scene() -> None:
        stage = Stage(stubborn=True)
        supervisor = Supervisor(stage.keeper("router"), [stage.keeper("a")])
        running = asyncio.create_task(supervisor.run())
        await supervisor.settled()
        supervisor.stop()
        supervisor.stop()
        await running
        assert sorted(stage.order) == ["a", "router"]

    run(scene)


def test_one_worker_given_up_leaves_the_others_alone() -> None:
    """The mesh serves with what is left, and ends when nothing is."""

    async def scene() -> None:
        stage = Stage()
        supervisor = Supervisor(stage.keeper("router"), [stage.keeper("a"), stage.keeper("b")])
        running = asyncio.create_task(supervisor.run())
        await supervisor.settled()
        _, first, second = [stage.spawned.get_nowait() for _ in range(3)]
        first.end(EXIT_USELESS)
        await supervisor.workers[0].ended.wait()
        assert not running.done()
        second.end(EXIT_USELESS)
        assert await running is False

    run(scene)


def test_a_router_given_up_ends_the_mesh() -> None:
    """Without a door nothing is served; the workers end too."""

    async def scene() -> None:
        stage = Stage()
        supervisor = Supervisor(stage.keeper("router"), [stage.keeper("a")])
        running = asyncio.create_task(supervisor.run())
        (await stage.spawned.get()).end(EXIT_USELESS)
        assert await running is False
        assert stage.order == ["router", "a"]

    run(scene)


def test_a_mesh_of_a_router_alone_runs_until_it_is_stopped() -> None:
    """All workers may be elsewhere."""

    async def scene() -> None:
        supervisor = Supervisor(Stage().keeper("router"), [])
        running = asyncio.create_task(supervisor.run())
        await supervisor.settled()
        supervisor.stop()
        assert await running is True

    run(scene)


SERVES = f"""
import sys
print("noise")
print('{ready_line("unix:/there")}', flush=True)
sys.stdin.read()
"""


def test_a_process_says_when_it_serves_and_ends_with_its_lifeline() -> None:
    """Other output is not taken for the ready line; a parent that is gone ends its children."""

    async def scene() -> None:
        process = await Process.spawn(ChildSpec("child", (sys.executable, "-c", SERVES)))
        assert await process.ready() == "unix:/there"
        lifeline = process._process.stdin
        assert lifeline is not None
        lifeline.close()
        assert await process.wait() == 0

    run(scene)


def test_a_process_that_ends_before_it_serves_has_no_address() -> None:
    """`ready` returns None, `wait` its exit code."""

    async def scene() -> None:
        process = await Process.spawn(ChildSpec("child", (sys.executable, "-c", "raise SystemExit(3)")))
        assert await process.ready() is None
        assert await process.wait() == 3

    run(scene)


PARENT = """
import asyncio, sys
from router.child import ChildSpec, Process

async def main():
    life = "import waypost.life as life, signal; life.hold_lifeline(); print('x', flush=True); signal.pause()"
    process = await Process.spawn(ChildSpec("child", (sys.executable, "-c", life)))
    await process._process.stdout.readline()
    print(process.pid, flush=True)
    await process.wait()

asyncio.run(main())
"""


def test_a_killed_parent_leaves_no_child_behind() -> None:
    """SIGKILL of the parent ends the child by its lifeline."""

    async def scene() -> None:
        parent = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE, env=os.environ
        )
        assert parent.stdout is not None
        child = psutil.Process(int(await parent.stdout.readline()))
        parent.kill()
        await parent.wait()
        await asyncio.to_thread(child.wait, 5.0)

    run(scene)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
