"""What is known of a process, and what can be done with it.  Plain values: whoever decides asks nobody."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """How a process lives."""

    ASLEEP = "asleep"
    WAKING = "waking"
    AWAKE = "awake"
    LEAVING = "leaving"
    """The router sends nothing new there; it is ended when it has finished what it has."""
    FAILED = "failed"
    """It could not be started, and is left alone for a while."""


@dataclass(frozen=True)
class Rules:
    """What its configuration says of a worker."""

    worker: str
    most: int = 1
    least: int = 0
    """Processes that run always."""
    idle_s: float = 900.0
    priority: int = 0
    """The higher, the later it makes room for others."""


@dataclass(frozen=True)
class Demand:
    """How much a process is wanted, as the router says."""

    waiting: int = 0
    in_flight: int = 0
    calls: int = 0
    """Since the router began."""
    last_call: float | None = None
    pinned: bool = False
    hot: bool = False
    """Called so often, or pinned, that it should run wherever there is memory for it."""


@dataclass(frozen=True)
class Member:
    """A process, running or not; times are of the clock that decisions are given."""

    name: str
    rules: Rules
    stage: Stage = Stage.ASLEEP
    since: float = 0.0
    """When it came to this stage."""
    memory: int = 0
    """Bytes it takes, or will take."""
    start_s: float = 1.0
    """Seconds it takes to start."""
    demand: Demand = Demand()
    heard: float = math.inf
    """When that was said; of one who is leaving it counts only if the router knew that it is."""
    unknown: bool = False
    """Nobody knows yet what it serves: it is started once to learn that."""
    probe: bool = False
    """It was started to learn that, and nobody has called it."""
    forced: bool = False
    """Of one that is leaving: it goes even if calls wait for it by now."""
    renews: bool = False
    """Of one that is leaving: it is to be started anew."""
    born: float = 0.0
    """When its process was started."""
    grown: float = 1.0
    """How many times the memory it takes that it took in its first minutes."""

    @property
    def runs(self) -> bool:
        """Whether it takes memory."""
        return self.stage in (Stage.WAKING, Stage.AWAKE, Stage.LEAVING)

    @property
    def stays(self) -> bool:
        """Whether it runs, or will, and nobody ends it."""
        return self.stage in (Stage.WAKING, Stage.AWAKE)

    @property
    def load(self) -> int:
        """Calls that are there, or wait for it."""
        return self.demand.waiting + self.demand.in_flight

    def used(self) -> float:
        """When it was last of use: called, or started."""
        return max(self.since, self.demand.last_call or self.since)


@dataclass(frozen=True)
class Memory:
    """Bytes: what the members may take together, and what the machine has."""

    budget: int
    free: int
    total: int

    def is_low(self, share: float, slack: float = 1.0) -> bool:
        """Whether less than this share of the machine's is free, or so many times the share."""
        return self.free < share * self.total * slack


@dataclass(frozen=True)
class Start:
    """Start it."""

    name: str


@dataclass(frozen=True)
class Leave:
    """Send it nothing new, so that it can be ended."""

    name: str
    why: str
    forced: bool = False


@dataclass(frozen=True)
class Stay:
    """It was about to be ended, and is wanted again."""

    name: str


@dataclass(frozen=True)
class Stop:
    """End it: it has nothing left to do."""

    name: str


@dataclass(frozen=True)
class Fail:
    """It cannot be started."""

    name: str
    why: str


@dataclass(frozen=True)
class Renew:
    """Send it nothing new, end it when it has finished, and start it again."""

    name: str


Action = Start | Leave | Stay | Stop | Fail | Renew
