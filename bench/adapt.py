"""Does the router learn from what it sees: of an instance that slows down, of a new model that is worse?

Slow instance.  Question: how fast does one of three equal instances lose its share of the calls once it is ten times
slower, and get it back after?  Control: the share it had before, and the policy that learns nothing (round robin).
Measured: shares by the router's own decisions, in windows of five seconds.

Rollouts.  Question: how long until a canary is rolled back that fails, refuses or is slow, and until a good one is
promoted?  And is one that too few calls reach called inconclusive?  Control: the canary that is as good.  Measured:
seconds from the start of the rollout to its end at a fixed rate of calls; steps of 10, 30 and 80 %.  The thin one gets
a time limit of seconds instead of half an hour, so that its end can be waited for; the others have the usual one.

The workers compute nothing: each holds an answer back for a time it is told (`bench.pacer`).

    python -m bench.adapt                 # both
    python -m bench.adapt instance        # or one of them
    python -m bench.adapt rollouts
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import waypost
from bench import processes, table
from bench.pacer import Pace, Paced, paced
from bench.texts import texts
from waypost import _core
from waypost.control import RUNNING, Rollout, RolloutStatus
from waypost.v1 import generate_pb2

PATH = "/waypost.v1.GenerateService/Generate"
CLIENTS, RATE = 64, 150.0
LOAD_S, LOOK_S, READY_S = 5.0, 1.0, 30.0

POLICIES = ("expected_completion", "score", "round_robin")
WINDOW_S, BEFORE_S, SLOW_S, BACK_S, AFTER_S = 5.0, 20.0, 15.0, 15.0, 45.0
"""Of a window; before the change, slow, well until it should have its share back, and well in all."""
FASTER, SLOWER = 0.02, 0.2
GOAL_POINTS = 0.10

ROUTER = """
[router]
instances = [{instances}]
policy = "{policy}"
[router.decisions]
to = "{decisions}"
[router.tiers]
enabled = false
[router.quality]
enabled = {quality}
[router.budget]
store = "memory:"
"""

ROLLOUT_RATE, LIMIT_S = 100.0, 900.0
USUAL_LIMIT_S, THIN_LIMIT_S, THIN_RATE = 1800.0, 30.0, 2.0


def prompts(model: str) -> Iterator[list[bytes]]:
    """Requests for `model`, no two alike."""
    for number in itertools.count():
        asked = (f"{number} {text}" for text in texts("short", 2000))
        yield [generate_pb2.GenerateRequest(model=model, raw=text).SerializeToString() for text in asked]


@contextmanager
def router(workers: list[Paced], decisions: Path, policy: str = POLICIES[0], quality: bool = False) -> Iterator[str]:
    """Address of a router before these workers, that writes its decisions there."""
    instances = ", ".join(f'"{worker.address}"' for worker in workers)
    config = ROUTER.format(instances=instances, policy=policy, decisions=decisions, quality=str(quality).lower())
    with processes.started("router", config) as process:
        with waypost.Client(process.address) as client:
            client.generate("Are you there?", timeout=READY_S)
        yield process.address


@contextmanager
def loaded(address: str, model: str, rate: float) -> Iterator[threading.Event]:
    """Calls at a rate, in loads of some seconds one after the other, until the block ends or the event is set."""
    over = threading.Event()

    def send() -> None:
        for payloads in prompts(model):
            if over.is_set():
                break
            _core.load(address, PATH, payloads, clients=CLIENTS, duration_s=LOAD_S, rate=rate)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield over
    finally:
        over.set()
        thread.join()


@dataclass
class Shares:
    """What share of the calls one instance got, and when."""

    decisions: Path
    instance: str
    marks: dict[str, float] = field(default_factory=dict)

    def mark(self, name: str) -> None:
        """It is now so."""
        self.marks[name] = time.time()

    def between(self, mark: str, begin_s: float, length_s: float = WINDOW_S) -> float:
        """Its share in the time that begins so long after `mark`."""
        begin = self.marks[mark] + begin_s
        chosen = [who for at, who in self._calls() if begin <= at < begin + length_s]
        return chosen.count(self.instance) / max(1, len(chosen))

    def _calls(self) -> Iterator[tuple[float, str]]:
        for line in self.decisions.read_text().splitlines():
            event = json.loads(line)
            if event.get("chosen"):
                yield _begun(event), event["chosen"]


def _begun(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["timestamp"]).astimezone(UTC).timestamp()


def slow_instance(policy: str) -> list[str]:
    """A row: one of three instances is slow for a while."""
    with tempfile.TemporaryDirectory() as folder:
        shares = Shares(Path(folder) / "decisions.jsonl", "w0")
        with ExitStack() as stack:
            workers = [stack.enter_context(paced(f"w{number}", "m", Pace(FASTER))) for number in range(3)]
            address = stack.enter_context(router(workers, shares.decisions, policy))
            with loaded(address, "m", RATE) as load:
                load.wait(BEFORE_S)
                shares.mark("slow")
                workers[0].change(seconds=SLOWER)
                load.wait(SLOW_S)
                shares.mark("well")
                workers[0].change(seconds=FASTER)
                load.wait(AFTER_S)
        return _row(policy, shares)


def _row(policy: str, shares: Shares) -> list[str]:
    before, at_once = shares.between("slow", 5.0 - BEFORE_S, BEFORE_S - 5.0), shares.between("slow", 0.0)
    later = [shares.between("well", begin) for begin in (-WINDOW_S, 0.0, 5.0)]
    again = shares.between("well", BACK_S, AFTER_S - BACK_S)
    moved = before - at_once
    met = "yes" if moved >= GOAL_POINTS and again >= before - GOAL_POINTS else "**no**"
    return [policy, *(f"{share:.1%}" for share in (before, at_once, *later, again)), f"{moved * 100:.1f}", met]


@dataclass(frozen=True)
class Change:
    """A new model beside the old one, and how its rollout should end."""

    name: str
    canary: Pace
    ends: str
    rate: float = ROLLOUT_RATE
    step_limit_s: float = USUAL_LIMIT_S


STABLE = Pace(FASTER, errors=0.002, refusals=0.02)
CHANGES = (
    Change("fails 10 %", replace(STABLE, errors=0.10), "rolled_back"),
    Change("refuses 30 %", replace(STABLE, refusals=0.30), "rolled_back"),
    Change("three times as slow", replace(STABLE, seconds=3 * FASTER), "rolled_back"),
    Change("as good", STABLE, "promoted"),
    Change("as good, hardly called", STABLE, "inconclusive", THIN_RATE, THIN_LIMIT_S),
)


def rollout(change: Change) -> list[str]:
    """A row: a rollout from its beginning to its end."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        workers = [
            stack.enter_context(paced("a", "old", STABLE)),
            stack.enter_context(paced("b", "new", change.canary)),
        ]
        address = stack.enter_context(router(workers, Path(folder) / "decisions.jsonl", quality=True))
        client = stack.enter_context(waypost.Client(address))
        began = time.monotonic()
        client.set_rollout(Rollout("writer", stable="old", canary="new", step_limit=change.step_limit_s))
        with loaded(address, "writer", change.rate) as load:
            status = _ended(client, began, load)
        took = time.monotonic() - began
    return _outcome(change, status, took)


def _ended(client: waypost.Client, began: float, load: threading.Event) -> RolloutStatus:
    """The rollout when it has ended, or its time is over."""
    while True:
        (status,) = client.rollouts()
        if status.rollout.state != RUNNING or time.monotonic() - began > LIMIT_S:
            return status
        load.wait(LOOK_S)


def _outcome(change: Change, status: RolloutStatus, took: float) -> list[str]:
    rollout = status.rollout
    met = "yes" if rollout.state == change.ends else "**no**"
    step = f"{rollout.steps[rollout.step]:.0%}"
    return [change.name, f"{change.rate:g}", rollout.state, f"{took:.0f}", step, rollout.reason, met]


def instance() -> None:
    """Runs the first bench and prints its table."""
    table.show(
        f"One of three is {SLOWER / FASTER:g}x slower for {SLOW_S:g} s, {RATE:g} calls/s ({table.machine()})",
        [
            "policy: its share",
            "before",
            "first 5 s",
            "last 5 s",
            "0-5 s after",
            "5-10 s",
            f"{BACK_S:g}-{AFTER_S:g} s",
            "points moved in 5 s",
            "10 points, and back",
        ],
        [slow_instance(policy) for policy in POLICIES],
    )


def rollouts() -> None:
    """Runs the second bench and prints its table."""
    table.show(
        f"Rollouts, steps of 10, 30, 80 % ({table.machine()})",
        [
            "the canary",
            "calls/s",
            "state",
            "after, s",
            "at step",
            "reason",
            "as it should",
        ],
        [rollout(change) for change in CHANGES],
    )


def main() -> None:
    """Runs what is asked for."""
    wanted = [each for each in (instance, rollouts) if each.__name__ in sys.argv] or [instance, rollouts]
    for each in wanted:
        each()


if __name__ == "__main__":
    main()
