"""Models, clients and memory in simulated time, with the policy of production: for `bench.life` and `bench.on_demand`.

Clients are closed loops: each pauses, calls, waits for the answer, and begins again.  They bring their own calls, so
that all contenders get the same.
"""

from __future__ import annotations

import heapq
import itertools
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from router.life.members import Leave, Member, Memory, Rules, Stage, Start, Stay, Stop
from router.life.policy import Limits, Policy
from router.life.worth import Worth

LOOK_S = 1.0
"""Seconds between decisions where nothing happens."""
PLENTY = 1 << 60


@dataclass(frozen=True)
class Ask:
    """What a client does next."""

    pause_s: float
    model: int
    service_s: float


Client = Callable[[float], Ask | None]
"""Says what it does next, by the time; None: nothing any more."""


@dataclass(frozen=True)
class Size:
    """What a model takes."""

    memory: int
    start_s: float


class Ranked(Worth):
    """Ends by a figure of each process, the lowest first."""

    def __init__(self, rank: Callable[[Ranked, Member], float]) -> None:
        super().__init__()
        self.calls: dict[str, int] = {}
        self.now = 0.0
        self._rank = rank

    def observe(self, members: Iterable[Member]) -> None:
        for member in members:
            self.calls[member.name] = member.demand.calls

    def of(self, member: Member) -> float:
        return self._rank(self, member)


CONTENDERS: dict[str, Callable[[], Worth]] = {
    "LRU": lambda: Ranked(lambda self, member: member.used()),
    "LRU by bytes": lambda: Ranked(lambda self, member: (member.used() - self.now) * member.memory),
    "LFU": lambda: Ranked(lambda self, member: self.calls[member.name]),
    "Waypost": Worth,
}


class World:
    """A clock that events move."""

    def __init__(self, worth: Worth, sizes: Sequence[Size], memory: int, limits: Limits | None = None) -> None:
        self.now = 0.0
        self.hits = 0
        self.calls = 0
        self.loads = 0
        self.waits: list[float] = []
        self._memory = Memory(memory, PLENTY, PLENTY)
        self._worth = worth
        self._policy = Policy(limits or Limits(), worth)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._tie = itertools.count()
        self._waiting: list[list[tuple[float, Callable[[], None]]]] = [[] for _ in sizes]
        self._members = [
            Member(f"m{i}", Rules(f"m{i}", idle_s=1e9), memory=size.memory, start_s=size.start_s)
            for i, size in enumerate(sizes)
        ]

    def run(self, seconds: float) -> World:
        """So much of it; or until nothing happens any more."""
        self._tick()
        while self._events and self.now < seconds and len(self._events) + self._busy > 1:
            self.now, _, event = heapq.heappop(self._events)
            event()
            self._decide()
        return self

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """`event` comes in so many seconds."""
        heapq.heappush(self._events, (self.now + seconds, next(self._tie), event))

    def join(self, client: Client) -> None:
        """`client` begins, or goes on."""
        if ask := client(self.now):
            self.after(ask.pause_s, lambda: self.call(ask.model, ask.service_s, lambda: self.join(client)))

    def call(self, model: int, service_s: float, done: Callable[[], None]) -> None:
        """Somebody calls `model`."""
        self.calls += 1
        if self._members[model].stage == Stage.AWAKE:
            self.hits += 1
            self.waits.append(0.0)
            return self._begin(model, service_s, done)
        self._waiting[model].append((self.now, lambda: self._begin(model, service_s, done)))
        self._demand(model, waiting=len(self._waiting[model]))

    @property
    def hit_rate(self) -> float:
        """Share of calls whose model ran."""
        return self.hits / max(1, self.calls)

    @property
    def mean_wait(self) -> float:
        """Seconds, of all calls."""
        return statistics.fmean(self.waits)

    @property
    def p99_wait(self) -> float:
        """Seconds."""
        return sorted(self.waits)[int(0.99 * len(self.waits))]

    @property
    def _busy(self) -> int:
        return sum(member.load > 0 for member in self._members)

    def _tick(self) -> None:
        self.after(LOOK_S, self._tick)

    def _begin(self, model: int, service_s: float, done: Callable[[], None]) -> None:
        demand = self._members[model].demand
        self._demand(model, in_flight=demand.in_flight + 1, calls=demand.calls + 1, last_call=self.now)

        def end() -> None:
            self._demand(model, in_flight=self._members[model].demand.in_flight - 1)
            done()

        self.after(service_s, end)

    def _demand(self, model: int, **changes: float) -> None:
        member = self._members[model]
        self._members[model] = replace(member, demand=replace(member.demand, **changes))

    def _to(self, model: int, stage: Stage, forced: bool = False) -> None:
        self._members[model] = replace(self._members[model], stage=stage, since=self.now, forced=forced)

    def _decide(self) -> None:
        if isinstance(self._worth, Ranked):
            self._worth.now = self.now
        for action in self._policy.decide(self._members, self._memory, self.now):
            model = int(action.name[1:])
            match action:
                case Start():
                    self._start(model)
                case Leave():
                    self._to(model, Stage.LEAVING, action.forced)
                case Stay():
                    self._woken(model)
                case Stop():
                    self._to(model, Stage.ASLEEP)
        assert sum(member.memory for member in self._members if member.runs) <= self._memory.budget

    def _start(self, model: int) -> None:
        self.loads += 1
        self._to(model, Stage.WAKING)
        self.after(self._members[model].start_s, lambda: self._woken(model))

    def _woken(self, model: int) -> None:
        self._to(model, Stage.AWAKE)
        waited, self._waiting[model] = self._waiting[model], []
        self._demand(model, waiting=0)
        for since, begin in waited:
            self.waits.append(self.now - since)
            begin()
