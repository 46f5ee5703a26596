"""Starts and ends the workers of a mesh as the policy says: one owner, one loop.

It looks when something has changed (the router said that somebody waits, a process serves or has ended), and otherwise
once a second; ten times a second while something waits for the end of another.  After each look the router is told how
all processes live, and answers how much each is wanted.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import grpc.aio
import structlog

from router.life import memory
from router.life.conversation import Conversation, describe, ready
from router.life.learned import Notebook
from router.life.lookout import Watchdog
from router.life.members import Action, Demand, Fail, Leave, Member, Renew, Rules, Stage, Start, Stay, Stop
from router.life.policy import Limits, Policy
from router.life.processes import Attended, Plan
from router.life.warmer import Warmer
from router.life.windows import Windows
from waypost.config import Life, Worker
from waypost.tls import Tls
from waypost.v1 import mesh_pb2

LOOK_S = 1.0
"""Seconds between looks where nothing happens."""
HURRY_S = 0.1
"""The same at the start, and while something waits for the end of another or for the router to have what serves."""

STATES = {
    Stage.ASLEEP: mesh_pb2.LIFE_STATE_ASLEEP,
    Stage.WAKING: mesh_pb2.LIFE_STATE_WAKING,
    Stage.AWAKE: mesh_pb2.LIFE_STATE_AWAKE,
    Stage.LEAVING: mesh_pb2.LIFE_STATE_LEAVING,
    Stage.FAILED: mesh_pb2.LIFE_STATE_FAILED,
}

log = structlog.get_logger()


class Kind:
    """A worker: its rules, its processes, and what is known of it."""

    def __init__(self, worker: Worker, plans: Sequence[Plan], changed: Callable[[], None]) -> None:
        self.worker = worker
        self._notebook = Notebook(worker)
        self.learned = self._notebook.read()
        rules = Rules(worker.name, worker.replicas, worker.always, worker.idle_s, worker.priority)
        said = worker.memory_bytes or 0
        self.processes = [Attended(plan, rules, said, changed, time.monotonic) for plan in plans]

    @property
    def unknown(self) -> bool:
        """Whether nobody knows what it serves."""
        return not self.learned.described

    def ran(self, process: Attended, described: mesh_pb2.DescribeInstanceResponse) -> None:
        """A process of it serves: what it showed is kept."""
        start_s = process.start_s or self.learned.start_s
        self.learned = self.learned.ran(start_s, process.measure(), described, process.peak)
        self.keep()

    def measure(self) -> None:
        """Looks how much memory its processes take; the most is what the next is thought to take."""
        most = max((process.measure() for process in self.processes), default=0)
        if most > self.learned.memory and not self.unknown:
            self.learned = replace(self.learned, memory=most)

    def keep(self) -> None:
        """Writes down what was learned."""
        try:
            if not self.unknown:
                self._notebook.write(self.learned)
        except OSError as error:
            log.warning("not kept", worker=self.worker.name, error=str(error))

    def members(self) -> list[Member]:
        """Its processes as the policy sees them."""
        return [process.member(self.learned) for process in self.processes]

    def lives(self) -> list[mesh_pb2.InstanceLife]:
        """Its processes as the router is told of them."""
        return [self._life(process) for process in self.processes]

    def _life(self, process: Attended) -> mesh_pb2.InstanceLife:
        life = mesh_pb2.InstanceLife(
            address=process.plan.address,
            state=STATES[process.stage],
            described=self.learned.description(process.plan.name),
            memory_bytes=process.member(self.learned).memory,
            error=process.error if process.stage == Stage.FAILED else "",
        )
        life.start.FromMicroseconds(int(self.learned.start_s * 1e6))
        return life


class Attendant:
    """Of the workers of one mesh; `router` is the operator's door."""

    def __init__(
        self, workers: Sequence[tuple[Worker, Sequence[Plan]]], router: str, config: Life, tls: Tls | None = None
    ) -> None:
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._kinds = [Kind(worker, plans, self._changed.set) for worker, plans in workers]
        self._processes = {process.plan.name: process for kind in self._kinds for process in kind.processes}
        self._router = router
        self._tls = tls
        self._policy = Policy(Limits(**config.model_dump(include=set(Limits.__dataclass_fields__))))
        self._budget = memory.budget(config.memory_bytes)
        self._talk = Conversation(router, self._heard)
        self._warmer = Warmer(config.warm_s, tls)
        self._windows = Windows.of(worker for worker, _ in workers)
        self._watchdog = Watchdog(config.low_memory)
        self._stopping: set[asyncio.Task[None]] = set()

    async def attend(self) -> None:
        """Starts and ends processes until it is cancelled."""
        log.info("attending", workers=len(self._kinds), memory_bytes=self._budget)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._talk.keep())
            tasks.create_task(self._warmer.keep(lambda: list(self._processes.values())))
            while True:
                await self._look()
                await self._wait()

    async def settled(self) -> None:
        """Returns when those serve that always run, or cannot, and the router knows what the others serve."""
        await self._settled.wait()

    async def stop(self) -> None:
        """Asks all processes to drain and end."""
        for kind in self._kinds:
            kind.measure()
            kind.keep()
        await asyncio.gather(*(process.stop() for process in self._processes.values()), *self._stopping)

    def kill(self) -> None:
        """Ends all processes now."""
        for process in self._processes.values():
            process.kill()

    def serving(self) -> dict[str, str]:
        """Names of the processes that serve, by their addresses."""
        return {each.plan.address: each.plan.name for each in self._processes.values() if each.serves}

    async def _look(self) -> None:
        """One look at everything, and what follows from it."""
        await self._welcome()
        for kind in self._kinds:
            kind.measure()
        for process in self._processes.values():
            process.rested()
        # Without the router nobody knows what is busy, or wanted.
        if self._talk.is_open or not self._settled.is_set():
            self._decide()
        self._talk.say([life for kind in self._kinds for life in kind.lives()])

    async def _wait(self) -> None:
        comes = not self._settled.is_set() or any(map(_is_coming, self._processes.values()))
        hurries = comes or self._policy.is_held_up(self._members())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), HURRY_S if hurries else LOOK_S)
        self._changed.clear()

    async def _welcome(self) -> None:
        """Processes that have begun to serve, once the router has them.

        Told a moment earlier, it would let those go on who wait for them, and they would find nobody there.
        """
        coming = [(kind, each) for kind in self._kinds for each in kind.processes if _is_coming(each)]
        if not coming:
            return
        try:
            known = await ready(self._router)
            for kind, process in coming:
                if process.plan.address in known:
                    described = await describe(process.plan.address, self._tls)
                    process.woken()
                    kind.ran(process, described)
        except grpc.aio.AioRpcError as error:
            log.debug("not there yet", error=error.details())

    def _decide(self) -> None:
        available = memory.now(self._budget)
        self._watchdog.look(available)
        members, now = self._members(), time.monotonic()
        actions = self._policy.decide(members, available, now)
        if not actions:
            actions = self._windows.decide(members, available, now, datetime.now())
        for action in actions:
            self._do(action)
        under_way = (Stage.WAKING, Stage.LEAVING)
        is_quiet = not actions and not any(process.stage in under_way for process in self._processes.values())
        # Before the router has answered it knows of nobody who is asleep, and calls would find no instance.
        if is_quiet and self._talk.is_open:
            self._settled.set()

    def _do(self, action: Action) -> None:
        process = self._processes[action.name]
        match action:
            case Start():
                process.start(probe=any(kind.unknown for kind in self._kinds if process in kind.processes))
            case Leave(why=why, forced=forced):
                process.leave(why, forced)
            case Renew():
                process.renew()
            case Stay():
                process.to(Stage.AWAKE)
            case Stop():
                self._end(process)
            case Fail(why=why):
                process.fail(why)

    def _end(self, process: Attended) -> None:
        if process.is_ending:
            return
        task = asyncio.create_task(self._ended(process))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    async def _ended(self, process: Attended) -> None:
        await process.stop()
        process.to(Stage.ASLEEP)
        self._changed.set()

    def _members(self) -> list[Member]:
        return [member for kind in self._kinds for member in kind.members()]

    def _heard(self, demands: dict[str, Demand]) -> None:
        for process in self._processes.values():
            if told := demands.get(process.plan.address):
                if told.waiting and not process.demand.waiting:
                    self._changed.set()
                process.wanted(told)


def _is_coming(process: Attended) -> bool:
    return process.serves and process.stage == Stage.WAKING
