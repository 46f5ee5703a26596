"""Processes that are started anew in their window: who and when by the rules, and once in a whole mesh."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from router.life.members import Action, Demand, Member, Memory, Renew, Rules, Stage, Start, Stay, Stop
from router.life.policy import HOLD_UP_S, Limits, Policy
from router.life.windows import RETRY_S, Window, Windows
from tests.gateway import Up
from tests.life_mesh import processes
from tests.plane import eventually
from waypost import config
from waypost.client import Client
from waypost.config import ConfigError

DAY = 86_400.0
NOW = 30 * DAY
"""Of the clock that processes live by."""
PLENTY = Memory(1000, 1 << 40, 1 << 40)
WINDOW = Window(time(3, 30), timedelta(hours=1))


def at(hour: int, minute: int) -> datetime:
    return datetime(2026, 11, 22, hour, minute)


OPEN = at(3, 40)


def kind(count: int = 1, least: int = 1, **more: Any) -> list[Member]:
    """Processes that have run for two days."""
    rules = Rules("w", most=count, least=least)
    return [
        Member(f"w-{i}", rules, **{"stage": Stage.AWAKE, "memory": 100, "born": NOW - 2 * DAY} | more)
        for i in range(count)
    ]


def busy(member: Member, in_flight: int = 1, waiting: int = 0) -> Member:
    return replace(member, demand=Demand(waiting=waiting, in_flight=in_flight))


def decide(*members: Member, window: Window = WINDOW, today: datetime = OPEN, memory: Memory = PLENTY) -> list[Action]:
    return Windows({"w": window}).decide(members, memory, NOW, today)


@pytest.mark.parametrize(
    ("today", "opened"),
    [
        (at(3, 29), None),
        (at(3, 30), at(3, 30)),
        (at(4, 29), at(3, 30)),
        (at(4, 30), None),
    ],
)
def test_a_window_is_open_for_as_long_as_it_says(today: datetime, opened: datetime | None) -> None:
    """Each day."""
    assert WINDOW.opened(today) == opened
    assert WINDOW.opened(today + timedelta(days=3)) == (opened and opened + timedelta(days=3))


def test_a_window_may_last_past_midnight() -> None:
    """It opened yesterday, then."""
    night = Window(time(23, 30), timedelta(hours=1))
    assert night.opened(at(0, 10)) == at(23, 30) - timedelta(days=1)


def test_who_ran_before_the_window_opened_is_started_anew_in_it() -> None:
    """And nobody who was started since, or belongs to another worker, or outside of it."""
    (member,) = kind()
    assert decide(member) == [Renew("w-0")]
    assert decide(replace(member, born=NOW - 300.0)) == []
    assert decide(replace(member, rules=Rules("other"))) == []
    assert decide(member, today=at(12, 0)) == []


def test_one_that_is_too_young_or_has_not_grown_is_left_alone() -> None:
    """Where that is asked for; the age counts at the window's end."""
    (member,) = kind()
    assert decide(member, window=replace(WINDOW, min_age=timedelta(days=2, minutes=50))) == [Renew("w-0")]
    assert decide(member, window=replace(WINDOW, min_age=timedelta(days=2, minutes=51))) == []
    grown = replace(WINDOW, growth=1.5)
    assert decide(replace(member, grown=1.4), window=grown) == []
    assert decide(replace(member, grown=1.6), window=grown) == [Renew("w-0")]


def test_one_after_another() -> None:
    """Nothing while another comes or goes."""
    first, second = kind(2, least=2)
    for stage in (Stage.WAKING, Stage.LEAVING):
        assert decide(replace(first, stage=stage), second) == []
    assert decide(first, second) == [Renew("w-0")]
    assert decide(busy(first), second) == [Renew("w-1")], "the idle one first"
    assert decide(busy(first, 2), busy(second, 1)) == [Renew("w-1")], "the other takes its calls"


def test_one_that_is_asleep_takes_over_where_memory_has_room_for_both() -> None:
    """So that no call waits."""
    first, second = kind(2)
    asleep = replace(second, stage=Stage.ASLEEP)
    assert decide(first, asleep) == [Start("w-1")]
    assert decide(first, asleep, memory=replace(PLENTY, budget=199)) == [Renew("w-0")]
    assert decide(first, replace(second, born=NOW - 60.0)) == [Renew("w-0")], "it has come"


def test_one_on_demand_that_nobody_calls_is_ended() -> None:
    """The next call starts it."""
    first, second = kind(2, least=0)
    assert decide(first, replace(second, stage=Stage.ASLEEP)) == [Renew("w-0")]


def test_one_that_is_alone_and_busy_is_left_until_half_of_the_window_is_over() -> None:
    """Perhaps there is a quiet moment."""
    (member,) = kind()
    assert decide(busy(member), today=at(3, 59)) == []
    assert decide(busy(member), today=at(4, 0)) == [Renew("w-0")]


def test_one_that_could_not_end_is_tried_again_later() -> None:
    """Not at once: its calls have just waited."""
    (member,) = kind()
    windows = Windows({"w": WINDOW})
    for after, found in ((0.0, [Renew("w-0")]), (1.0, []), (RETRY_S, [Renew("w-0")])):
        assert windows.decide([member], PLENTY, NOW + after, at(3, 35)) == found


def test_one_that_is_to_be_started_anew_ends_whatever_waits_unless_that_takes_too_long() -> None:
    """A pin does not hold it: it comes back."""
    policy = Policy(Limits())
    leaving = replace(kind()[0], stage=Stage.LEAVING, since=NOW - 1.0, renews=True, forced=True)
    assert policy.decide([busy(leaving, 0, waiting=3)], PLENTY, NOW) == [Stop("w-0")]
    assert policy.decide([replace(leaving, demand=Demand(pinned=True))], PLENTY, NOW) == [Stop("w-0")]
    assert policy.decide([busy(leaving, 1, waiting=3)], PLENTY, NOW) == []
    stuck = replace(leaving, since=NOW - HOLD_UP_S)
    assert policy.decide([busy(stuck, 1, waiting=3)], PLENTY, NOW) == [Stay("w-0")]
    assert policy.decide([busy(stuck, 1)], PLENTY, NOW) == [], "nobody is held up"


def test_what_is_no_window_is_a_problem() -> None:
    """All of it is said."""
    model = {"name": "m", "backend": "hash"}
    restart = {"at": "25:00", "lasts_s": 90_000.0, "growth": 1.0, "min_age_days": -1.0}
    with pytest.raises(ConfigError) as caught:
        config.check({"workers": [{"name": "w", "restart": restart, "models": [model]}]}, base=Path(), origin="test")
    assert sorted(map(str, caught.value.problems)) == [
        'workers[0].restart.at = "25:00": not a time of day; write such as "03:30"',
        "workers[0].restart.growth = 1.0: not above 1.0; use more than 1.0",
        "workers[0].restart.lasts_s = 90000.0: above 86400.0; use at most 86400.0",
        "workers[0].restart.min_age_days = -1.0: below 0.0; use at least 0.0",
    ]


MESH = """
[router]
listen = "127.0.0.1:0"
[router.decisions]
to = "none"
[router.audit]
to = "none"
[router.cache]
enabled = false
[[workers]]
name = "alone"
restart = {{ at = "{at}" }}
models = [{{ name = "alone-hash", backend = "hash", dimensions = 16 }}]
[[workers]]
name = "pair"
replicas = 2
restart = {{ at = "{at}" }}
models = [{{ name = "pair-hash", backend = "hash", dimensions = 16 }}]
"""
AHEAD_S = (8.0, 60.0, 240.0)
"""Seconds until the window opens, in which the mesh must have started; more if that was too few."""
PATIENCE_S = 200.0


@contextmanager
def started(folder: Path) -> Iterator[Up]:
    """A mesh whose window will open soon."""
    for ahead_s in AHEAD_S:
        opens = datetime.now() + timedelta(seconds=ahead_s)
        with Up(folder, MESH.format(at=opens.strftime("%H:%M:%S"))) as up:
            if datetime.now() < opens - timedelta(seconds=1):
                yield up
                return
    pytest.fail("the mesh takes too long to start")


@pytest.mark.timeout(600)
def test_in_a_mesh_all_are_started_anew_and_no_call_fails(tmp_path: Path) -> None:
    """One that is alone, and two of a kind, while both are called."""
    with started(tmp_path) as up, Client(up.ready["grpc"]) as client, ThreadPoolExecutor(2) as callers:
        before, over = _workers(up), threading.Event()
        calls = [callers.submit(_calls, client, f"{name}-hash", over) for name in ("alone", "pair")]
        try:
            eventually(lambda: len(_workers(up)) == 3 and not before & _workers(up), PATIENCE_S)
            eventually(lambda: [each.state for each in client.instances()] == ["ready"] * 3, PATIENCE_S)
        finally:
            over.set()
        assert all(call.result() > 0 for call in calls)
        assert up.logged().count("restart window") == 3


def _calls(client: Client, model: str, over: threading.Event) -> int:
    """Calls a model until it is over; none of them fails."""
    count = 0
    while not over.is_set():
        client.embed(["hello"], model=model, timeout=PATIENCE_S)
        count += 1
    return count


def _workers(up: Up) -> set[psutil.Process]:
    """Those that run."""
    return set(processes(up, "worker"))
