"""Keeps the processes of one machine alive: `waypost up`.

One keeper per process: start, wait for its end, start again after a pause, give up when it keeps crashing.  The mesh
ends when it is asked to, when its router is given up, or when its last worker is; without its HTTP gateway it goes on.
The gateway stops first and the router next, so that the calls under way find those behind.  Workers that are started
when they are wanted have an attendant (`router.life`), and the mesh goes on without them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from router.child import Child, ChildSpec, Process
from router.restarts import RestartPolicy, Restarts

Spawn = Callable[[ChildSpec], Awaitable[Child]]
Sleep = Callable[[float], Awaitable[Any]]

EXIT_USELESS = 2
"""Exit code of a child whose configuration is at fault: starting it again would not help."""

log = structlog.get_logger()


@dataclass(eq=False)
class Keeper:
    """Keeps one process alive until it is stopped or given up."""

    spec: ChildSpec
    spawn: Spawn = Process.spawn
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    clock: Callable[[], float] = time.monotonic
    sleep: Sleep = asyncio.sleep

    def __post_init__(self) -> None:
        self.address: str | None = None
        self.settled = asyncio.Event()
        """Set once the process serves, or never will."""
        self.ended = asyncio.Event()
        """Set once it is no longer kept."""
        self.pid: int | None = None
        self.serving = False
        self.failure = ""
        """Why it was given up."""
        self.changed: Callable[[], None] = lambda: None
        """Called when it begins or ceases to serve."""
        self._restarts = Restarts(self.policy)
        self._child: Child | None = None
        self._stopping = asyncio.Event()

    async def keep(self) -> None:
        """Runs the process, again and again; returns when it was stopped or given up."""
        try:
            while not self._stopping.is_set() and (pause := await self._run_once()) is not None:
                await self._pause(pause)
        finally:
            self.ended.set()
            self.settled.set()

    async def stop(self) -> None:
        """Asks the process to drain and end; ends it when that takes too long."""
        self._stopping.set()
        if self._child is not None:
            self._child.terminate()
        try:
            await asyncio.wait_for(self.ended.wait(), self.spec.stop_s)
        except TimeoutError:
            log.warning("killed", child=self.spec.name, reason=f"still there after {self.spec.stop_s:g} s")
            self.kill()
            await self.ended.wait()

    def kill(self) -> None:
        """Ends the process now."""
        self._stopping.set()
        if self._child is not None:
            self._child.kill()

    async def _run_once(self) -> float | None:
        """One life of the process: seconds to wait before the next, None when there is none."""
        started = self.clock()
        self._child = child = await self.spawn(self.spec)
        if self._stopping.is_set():
            child.terminate()
        self.pid = child.pid
        log.debug("started", child=self.spec.name, pid=child.pid)
        if address := await child.ready():
            log.info("ready", child=self.spec.name, pid=child.pid, address=address)
            self.address = address
            self.settled.set()
            self._serves(True)
        code = await child.wait()
        self.pid = None
        self._serves(False)
        return self._after(code, self.clock() - started)

    def _serves(self, serving: bool) -> None:
        if self.serving != serving:
            self.serving = serving
            self.changed()

    def _after(self, code: int, ran_s: float) -> float | None:
        if self._stopping.is_set():
            return None
        pause = None if code == EXIT_USELESS else self._restarts.crashed(self.clock(), ran_s)
        if pause is None:
            self.failure = f"its process ended with exit code {code}: its log says why"
            log.error("given up", child=self.spec.name, exit_code=code)
        else:
            log.warning("crashed", child=self.spec.name, exit_code=code, restart_in_s=pause)
        return pause

    async def _pause(self, seconds: float) -> None:
        """Waits, less long when the process is stopped meanwhile."""
        pause = asyncio.ensure_future(self.sleep(seconds))
        stop = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait((pause, stop), return_when=asyncio.FIRST_COMPLETED)
        for each in (pause, stop):
            each.cancel()


class Attendant(Protocol):
    """Starts and ends workers by itself."""

    async def attend(self) -> None:
        """Does so until it is cancelled."""

    async def settled(self) -> None:
        """Returns when those serve that always run, and the others are known."""

    async def stop(self) -> None:
        """Asks all of them to drain and end."""

    def kill(self) -> None:
        """Ends them now."""

    def serving(self) -> dict[str, str]:
        """Names of those that serve, by their addresses."""


class Supervisor:
    """A router and its workers, and perhaps a gateway before them."""

    def __init__(
        self,
        router: Keeper,
        workers: Sequence[Keeper],
        http: Keeper | None = None,
        attendant: Attendant | None = None,
    ) -> None:
        self.router = router
        self.workers = workers
        self.http = http
        self.attendant = attendant
        self._over = asyncio.Event()
        self._asked = False

    async def run(self) -> bool:
        """Keeps the mesh until it is stopped (True) or has nothing left to serve with (False)."""
        async with asyncio.TaskGroup() as tasks:
            for keeper in self._keepers():
                tasks.create_task(self._keep(keeper))
            attending = tasks.create_task(self.attendant.attend()) if self.attendant else None
            await self._over.wait()
            served = self._asked
            if attending:
                attending.cancel()
            await self._stop_all()
        return served

    async def settled(self) -> None:
        """Returns when every process serves or was given up."""
        for keeper in self._keepers():
            await keeper.settled.wait()
        if self.attendant:
            await self.attendant.settled()

    def serving(self) -> dict[str, str]:
        """Names of the workers that serve, by their addresses."""
        kept = {worker.address: worker.spec.name for worker in self.workers if worker.address}
        return kept | (self.attendant.serving() if self.attendant else {})

    def stop(self) -> None:
        """Asks for an orderly end; asked again, for an end at once."""
        if self._asked:
            for keeper in self._keepers():
                keeper.kill()
            if self.attendant:
                self.attendant.kill()
        log.info("killing" if self._asked else "draining")
        self._asked = True
        self._over.set()

    def _keepers(self) -> Sequence[Keeper]:
        return (*([self.http] if self.http else []), self.router, *self.workers)

    async def _keep(self, keeper: Keeper) -> None:
        await keeper.keep()
        if self._useless():
            self._over.set()

    def _useless(self) -> bool:
        workers_gone = bool(self.workers) and all(worker.ended.is_set() for worker in self.workers)
        return workers_gone or self.router.ended.is_set()

    async def _stop_all(self) -> None:
        if self.http:
            await self.http.stop()
        await self.router.stop()
        await asyncio.gather(*(worker.stop() for worker in self.workers))
        if self.attendant:
            await self.attendant.stop()
