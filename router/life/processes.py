"""One process of a worker, and its stages:

asleep ──start──► waking ──the router has it──► awake ──leave──► leaving ──stop──► asleep
                    ▲                             │  ◄──stay────────┘
                    └───────── it crashed ────────┘
waking ──given up──► failed ──after a while──► asleep
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from router.life import memory
from router.life.learned import Learned
from router.life.members import Demand, Member, Rules, Stage
from router.supervisor import Keeper

FIRST_REST_S = 30.0
LONGEST_REST_S = 600.0
"""Seconds for which one is left alone that could not be started; they double with each failure in a row."""
MARGIN = 1.05
"""Of what was seen: the next calls may take a little more."""
EARLY_S = 600.0
"""Seconds from its start on in which what a process takes is no growth: caches fill."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Plan:
    """A process as it would be: name, address, and what keeps it, made anew for each start."""

    name: str
    address: str
    make: Callable[[], Keeper]


class Attended:
    """A process that is started and ended as the policy says; `changed` is called when it changes by itself."""

    def __init__(
        self, plan: Plan, rules: Rules, said: int, changed: Callable[[], None], clock: Callable[[], float]
    ) -> None:
        self.plan = plan
        self._said = said
        self.rules = rules
        self.demand = Demand()
        self.stage = Stage.ASLEEP
        self.error = ""
        self.keeper: Keeper | None = None
        self.start_s: float | None = None
        """Of its last start; None: it has not served yet."""
        self._changed = changed
        self._clock = clock
        self._since = clock()
        self._started = clock()
        self._probe = False
        self._forced = False
        self._renews = False
        self._ending = False
        self._heard = 0.0
        self._memory = 0
        self._early = 0
        self.peak = 0
        """The most bytes it took until it served."""
        self._rest_s = 0.0
        self._keeping: asyncio.Task[None] | None = None

    @property
    def probes(self) -> bool:
        """Whether it was started to learn what it serves, and nobody has called it."""
        return self._probe and not self.demand.last_call

    @property
    def serves(self) -> bool:
        """Whether the process says that it serves."""
        return self.keeper is not None and self.keeper.serving

    def member(self, learned: Learned) -> Member:
        """As the policy sees it."""
        return Member(
            self.plan.name,
            self.rules,
            self.stage,
            self._since,
            self._bytes(learned),
            learned.start_s,
            self.demand,
            self._heard,
            not learned.described,
            self.probes,
            self._forced or self._ending,
            self._renews,
            self._started,
            self._grown(),
        )

    def start(self, probe: bool) -> None:
        """Starts the process."""
        self._probe = probe
        self._begun()
        self.to(Stage.WAKING)
        self.keeper = self.plan.make()
        self.keeper.changed = self._follow
        self._keeping = asyncio.create_task(self._keep(self.keeper))

    def woken(self) -> None:
        """The router has it."""
        self._rest_s = 0.0
        self.measure()
        self.to(Stage.AWAKE)

    def leave(self, why: str, forced: bool) -> None:
        """Is about to be ended."""
        log.info("leaving", child=self.plan.name, reason=why)
        self._forced, self._renews = forced, False
        self.to(Stage.LEAVING)

    def renew(self) -> None:
        """Is about to be ended, to be started anew."""
        self.leave("restart window", forced=True)
        self._renews = True

    async def stop(self) -> None:
        """Ends the process, in the stage that it is in; whoever asks again waits too."""
        if self.keeper and not self._ending:
            self._ending = True
            self.keeper.changed = lambda: None
            await self.keeper.stop()
        if self._keeping:
            await self._keeping
        self._gone()

    def kill(self) -> None:
        """Ends the process now."""
        self._ending = True
        if self.keeper:
            self.keeper.kill()

    def fail(self, why: str) -> None:
        """Cannot be started for now."""
        log.error("cannot be started", child=self.plan.name, error=why)
        self.error = why
        self._rest_s = min(LONGEST_REST_S, 2 * self._rest_s or FIRST_REST_S)
        self.to(Stage.FAILED)

    def to(self, stage: Stage) -> None:
        """Comes to another stage."""
        log.debug("stage", child=self.plan.name, before=self.stage, now=stage)
        self.stage, self._since = stage, self._clock()

    @property
    def is_ending(self) -> bool:
        """Whether it has been asked to end."""
        return self._ending

    def rested(self) -> None:
        """One that failed may be tried again, once it has been left alone for long enough."""
        if self.stage == Stage.FAILED and self._clock() - self._since >= self._rest_s:
            self.to(Stage.ASLEEP)

    def measure(self) -> int:
        """Bytes it takes now."""
        if self.serves and self.keeper and self.keeper.pid:
            self._memory = memory.of_process(self.keeper.pid)
            if self._clock() - self._started < EARLY_S:
                self._early = max(self._early, self._memory)
        return self._memory

    def wanted(self, demand: Demand) -> None:
        """The router has said so; what it forgot when it was started anew is remembered here."""
        self._heard = self._clock()
        self.demand = replace(demand, last_call=demand.last_call or self.demand.last_call)

    async def _keep(self, keeper: Keeper) -> None:
        failure = ""
        try:
            await keeper.keep()
        except OSError as error:
            failure = f"its process could not be made: {error}"
        if not self._ending:
            self._gone()
            self.fail(failure or keeper.failure)
            self._changed()

    def _begun(self) -> None:
        self._started, self._early = self._clock(), 0

    def _grown(self) -> float:
        return self._memory / self._early if self._early else 1.0

    def _gone(self) -> None:
        self.keeper, self._keeping = None, None
        self._memory, self.start_s, self._ending = 0, None, False

    def _bytes(self, learned: Learned) -> int:
        """What it takes, or has taken when it served before and may take again; until it serves also what its start
        takes; never less than its configuration says."""
        starts = self.stage not in (Stage.AWAKE, Stage.LEAVING)
        seen = max(learned.memory, learned.peak if starts else 0)
        return max(self._memory, self._said, int(MARGIN * seen) if seen > self._said else 0)

    def _follow(self) -> None:
        """Its process has begun or ceased to serve."""
        if self.serves:
            self.start_s = self._clock() - self._started
            self.peak = memory.peak_of_process(self.keeper.pid) if self.keeper and self.keeper.pid else 0
        elif self.stage in (Stage.AWAKE, Stage.LEAVING):
            self._begun()
            self.to(Stage.WAKING)
        self._changed()
