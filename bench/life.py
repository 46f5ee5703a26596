"""Who should make room when not all models fit into memory?

Question: of calls to 12 models, with memory for about 4, how many find theirs running, and how long do the others wait?
Control: the same clients, models and draws for every contender; all of them decide by the policy of production and
differ in whom they end: LRU; LRU by bytes (idle time x size); LFU; and what Waypost does (`router/life/worth.py`).
Measured: in simulated time, so the figures do not depend on the machine.  8 clients call, each its next model drawn by
Zipf's law (exponent 1), as soon as the last has answered and a pause is over.

equal    all models of one size
sizes    sizes from 0.2 to 4 GiB, popularity independent of them; memory for a third of all bytes
shift    as sizes, and every 5 minutes other models are the popular ones
scan     as sizes, and every 2 minutes somebody calls each model once

    python -m bench.life
"""

from __future__ import annotations

import heapq
import itertools
import random
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from bench import table
from router.life.members import Leave, Member, Memory, Rules, Stage, Start, Stay, Stop
from router.life.policy import Limits, Policy
from router.life.worth import GIB, Worth

MODELS = 12
CLIENTS = 8
MINUTES = 30
SEEDS = range(3)
SERVICE_S = 0.2
PAUSE_S = 5.0


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

    def ended(self, member: Member) -> None:
        pass


CONTENDERS: dict[str, Callable[[], Worth]] = {
    "LRU": lambda: Ranked(lambda self, member: member.used()),
    "LRU by bytes": lambda: Ranked(lambda self, member: (member.used() - self.now) * member.memory),
    "LFU": lambda: Ranked(lambda self, member: self.calls[member.name]),
    "Waypost": Worth,
}


@dataclass
class World:
    """Models, their clients, and a clock that events move."""

    worth: Worth
    seed: int
    sizes: list[float]
    memory: float
    shift_s: float = 0.0
    scan_s: float = 0.0
    now: float = 0.0
    hits: int = 0
    waits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._tie = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = self.random.sample(range(MODELS), MODELS)
        self._waiting: dict[int, list[tuple[float, Callable[[], None]]]] = {i: [] for i in range(MODELS)}
        self._policy = Policy(Limits(), self.worth)
        self._calls = 0
        self.members = [
            Member(f"m{i}", Rules(f"m{i}", idle_s=1e9), memory=int(size * GIB), start_s=0.5 + size)
            for i, size in enumerate(self.sizes)
        ]

    def run(self) -> World:
        """All of it."""
        for _ in range(CLIENTS):
            self.after(self.random.expovariate(1 / PAUSE_S), self._client)
        if self.scan_s:
            self.after(self.scan_s, self._scan)
        self.after(1.0, self._tick)
        while self._events and self.now < MINUTES * 60:
            self.now, _, event = heapq.heappop(self._events)
            event()
            self._decide()
        return self

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """`event` comes in so many seconds."""
        heapq.heappush(self._events, (self.now + seconds, next(self._tie), event))

    def _tick(self) -> None:
        self.after(1.0, self._tick)

    def _client(self) -> None:
        rank = self.random.choices(range(MODELS), [1 / (i + 1) for i in range(MODELS)])[0]
        turned = int(self.now // self.shift_s) * 4 if self.shift_s else 0
        self._call(self._order[(rank + turned) % MODELS], self._again)

    def _again(self) -> None:
        self.after(self.random.expovariate(1 / PAUSE_S), self._client)

    def _scan(self) -> None:
        for model in range(MODELS):
            self._call(model, lambda: None)
        self.after(self.scan_s, self._scan)

    def _call(self, model: int, done: Callable[[], None]) -> None:
        self._calls += 1
        if self.members[model].stage == Stage.AWAKE:
            self.hits += 1
            self.waits.append(0.0)
            return self._begin(model, done)
        self._waiting[model].append((self.now, done))
        self._demand(model, waiting=len(self._waiting[model]))

    def _begin(self, model: int, done: Callable[[], None]) -> None:
        demand = self.members[model].demand
        self._demand(model, in_flight=demand.in_flight + 1, calls=demand.calls + 1, last_call=self.now)

        def end() -> None:
            self._demand(model, in_flight=self.members[model].demand.in_flight - 1)
            done()

        self.after(SERVICE_S, end)

    def _demand(self, model: int, **changes: float) -> None:
        member = self.members[model]
        self.members[model] = replace(member, demand=replace(member.demand, **changes))

    def _to(self, model: int, stage: Stage, forced: bool = False) -> None:
        self.members[model] = replace(self.members[model], stage=stage, since=self.now, forced=forced)

    def _decide(self) -> None:
        if isinstance(self.worth, Ranked):
            self.worth.now = self.now
        budget = int(self.memory * GIB)
        for action in self._policy.decide(self.members, Memory(budget, 1 << 60, 1 << 60), self.now):
            model = int(action.name[1:])
            match action:
                case Start():
                    self._to(model, Stage.WAKING)
                    self.after(self.members[model].start_s, lambda model=model: self._woken(model))
                case Leave():
                    self._to(model, Stage.LEAVING, action.forced)
                case Stay():
                    self._woken(model)
                case Stop():
                    self._to(model, Stage.ASLEEP)
        assert sum(member.memory for member in self.members if member.runs) <= budget

    def _woken(self, model: int) -> None:
        self._to(model, Stage.AWAKE)
        waited, self._waiting[model] = self._waiting[model], []
        self._demand(model, waiting=0)
        for since, done in waited:
            self.waits.append(self.now - since)
            self._begin(model, done)

    @property
    def hit_rate(self) -> float:
        """Share of calls whose model ran."""
        return self.hits / self._calls


def worlds(scenario: str, make: Callable[[], Worth]) -> Iterator[World]:
    """The scenario's runs, one for each seed."""
    for seed in SEEDS:
        drawn = random.Random(1000 + seed)
        sizes = [1.0] * MODELS if scenario == "equal" else [0.2 * 20 ** drawn.random() for _ in range(MODELS)]
        memory = 4.0 if scenario == "equal" else max(sum(sizes) / 3, max(sizes))
        shift, scan = 300.0 * (scenario == "shift"), 120.0 * (scenario == "scan")
        yield World(make(), seed, sizes, memory, shift, scan).run()


def row(name: str, runs: list[World]) -> list[object]:
    """A line of the table: means over the seeds."""
    rates = [run.hit_rate for run in runs]
    waits = [statistics.fmean(run.waits) for run in runs]
    worst = [sorted(run.waits)[int(0.99 * len(run.waits))] for run in runs]
    calls = statistics.fmean(len(run.waits) for run in runs)
    return [
        name,
        f"{100 * statistics.fmean(rates):.1f} ({100 * min(rates):.1f})",
        f"{statistics.fmean(waits):.2f}",
        f"{statistics.fmean(worst):.1f}",
        f"{calls:.0f}",
    ]


def main() -> None:
    """Runs the simulation and prints its tables."""
    header = ["ends first", "found running, % (worst seed)", "mean wait s", "p99 wait s", "calls answered"]
    for scenario in ("equal", "sizes", "shift", "scan"):
        rows = [row(name, list(worlds(scenario, make))) for name, make in CONTENDERS.items()]
        table.show(f"{scenario}: {MODELS} models, {CLIENTS} clients, {MINUTES} minutes", header, rows)


if __name__ == "__main__":
    main()
