"""Which processes are started and ended: by the rules one by one, and always, whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.life.members import Action, Demand, Fail, Leave, Member, Memory, Rules, Stage, Start, Stay, Stop
from router.life.policy import SCALE_S, Limits, Policy
from router.life.worth import Worth

PLENTY = Memory(1000, 1 << 40, 1 << 40)
LIMITS = Limits(max_starts=2, patience_s=10.0, evict_idle_s=600.0, busy_per_replica=4.0)


def asleep(name: str, memory: int = 100, **rules: Any) -> Member:
    return Member(name, Rules(name, **rules), memory=memory)


def awake(name: str, memory: int = 100, **rules: Any) -> Member:
    return replace(asleep(name, memory, **rules), stage=Stage.AWAKE)


def called(member: Member, waiting: int = 1) -> Member:
    return replace(member, demand=replace(member.demand, waiting=waiting))


def busy(member: Member, in_flight: int = 1) -> Member:
    return replace(member, demand=replace(member.demand, in_flight=in_flight))


def pinned(member: Member) -> Member:
    return replace(member, demand=replace(member.demand, pinned=True))


def hot(member: Member) -> Member:
    return replace(member, demand=replace(member.demand, hot=True))


def used(member: Member, at: float, calls: int = 1) -> Member:
    return replace(member, demand=replace(member.demand, last_call=at, calls=calls))


def replicas(count: int, **rules: Any) -> list[Member]:
    kind = Rules("w", most=count, **rules)
    return [Member(f"w-{i}", kind, memory=100) for i in range(count)]


def decide(*members: Member, memory: Memory = PLENTY, now: float = 100.0) -> list[Action]:
    return Policy(LIMITS).decide(members, memory, now)


def test_what_calls_wait_for_is_started() -> None:
    """And nothing else."""
    assert decide(called(asleep("a")), asleep("b")) == [Start("a")]


def test_only_so_many_start_at_once() -> None:
    """Those who are starting already count."""
    assert decide(*(called(asleep(name)) for name in "abc")) == [Start("a"), Start("b")]
    starting = replace(asleep("x"), stage=Stage.WAKING)
    assert decide(starting, *(called(asleep(name)) for name in "bc")) == [Start("b")]


def test_who_is_worth_least_makes_room() -> None:
    """Of those who are idle; no more than is needed."""
    policy = Policy(LIMITS)
    often, seldom = used(awake("often"), 50.0, calls=9), used(awake("seldom"), 90.0, calls=2)
    members = [often, seldom, called(asleep("new"))]
    assert policy.decide(members, replace(PLENTY, budget=299), 100.0) == [Leave("seldom", "memory")]


def test_a_large_one_makes_room_before_several_small_ones_of_the_same_use() -> None:
    """Worth is by byte."""
    small, large = used(awake("small", 100), 90.0, 2), used(awake("large", 600), 90.0, 2)
    found = decide(small, large, called(asleep("new", 300)), memory=replace(PLENTY, budget=700))
    assert found == [Leave("large", "memory")]


@pytest.mark.parametrize("kept", [pinned, busy])
def test_who_is_pinned_or_busy_makes_no_room(kept: Callable[[Member], Member]) -> None:
    """The call goes on waiting."""
    assert decide(kept(awake("a")), called(asleep("b")), memory=replace(PLENTY, budget=150)) == []


def test_the_higher_priority_stays_longer() -> None:
    """Whatever it is worth."""
    low, high = used(awake("low"), 99.0, calls=50), awake("high", priority=1)
    assert decide(low, high, called(asleep("new")), memory=replace(PLENTY, budget=250)) == [Leave("low", "memory")]


def test_nobody_makes_room_twice_for_one_start() -> None:
    """What is leaving already is counted on."""
    leaving = replace(awake("a"), stage=Stage.LEAVING, since=99.99)
    members = [leaving, awake("b"), called(asleep("new"))]
    assert decide(*members, memory=replace(PLENTY, budget=250)) == []


def test_one_that_is_larger_than_the_memory_of_all_fails_and_says_so() -> None:
    """Nobody is ended for it."""
    (found,) = decide(awake("a"), called(asleep("b", 2000)))
    assert isinstance(found, Fail) and "router.life.memory_bytes" in found.why


def test_what_others_on_the_machine_take_counts_too() -> None:
    """Predicted memory must be free."""
    assert decide(called(asleep("a")), memory=Memory(1000, 50, 100)) == []


def test_who_leaves_is_ended_when_it_has_nothing_left() -> None:
    """And comes back where it is wanted again, unless another has waited for too long."""
    leaving = replace(awake("a"), stage=Stage.LEAVING, since=99.0)
    assert decide(leaving) == [Stop("a")]
    assert decide(busy(leaving)) == []
    assert decide(replace(leaving, since=99.99)) == []
    assert decide(replace(leaving, heard=99.0)) == [], "the router has not said what it has left"
    assert decide(called(leaving)) == [Stay("a")]
    assert decide(pinned(leaving)) == [Stay("a")]
    assert decide(replace(called(leaving), forced=True)) == [Stop("a")]


def test_one_that_is_always_busy_makes_room_for_who_has_waited_long() -> None:
    """When it has had its turn; it is not ended before its calls have."""
    policy, memory = Policy(LIMITS), replace(PLENTY, budget=150)
    members = [busy(awake("a")), called(asleep("b"))]
    assert policy.decide(members, memory, 100.0) == []
    assert policy.decide(members, memory, 109.9) == []
    assert policy.decide(members, memory, 110.0) == [Leave("a", "memory", forced=True)]


def test_who_waits_longer_than_all_others_is_not_overtaken_for_ever() -> None:
    """What is free is kept for it then."""
    policy, memory = Policy(LIMITS), replace(PLENTY, budget=500)
    large, small = called(asleep("large", 450)), called(asleep("small", 100))
    members = [busy(awake("a", 100)), large]
    assert policy.decide(members, memory, 100.0) == []
    assert policy.decide([*members, small], memory, 101.0) == [Start("small")]
    assert policy.decide([*members, small], memory, 110.0) == [Leave("a", "memory", forced=True)]


def test_who_is_idle_is_ended() -> None:
    """Counted from its last call, or its start."""
    assert decide(awake("a", idle_s=50.0), now=49.0) == []
    assert decide(awake("a", idle_s=50.0), now=50.0) == [Leave("a", "idle")]
    assert decide(used(awake("a", idle_s=50.0), 20.0), now=50.0) == []
    assert decide(pinned(awake("a", idle_s=50.0)), now=50.0) == []


def test_those_that_always_run_are_started_and_never_ended() -> None:
    """Whatever memory there is."""
    kind = replicas(3, least=2, idle_s=10.0)
    assert decide(*kind, memory=Memory(10, 10, 10)) == [Start("w-0"), Start("w-1")]
    running = [replace(each, stage=Stage.AWAKE) for each in kind[:2]]
    assert decide(*running, kind[2], called(asleep("b")), memory=replace(PLENTY, budget=250)) == []


def test_who_is_wanted_for_several_reasons_is_started_once() -> None:
    """It always runs, nobody knows it, it is hot, and calls wait for it."""
    assert decide(hot(called(replace(asleep("a", least=1), unknown=True)))) == [Start("a")]


def test_what_nobody_knows_is_started_once_and_ended_when_it_is_known() -> None:
    """One of each kind, and only where memory is free."""
    kind = [replace(each, unknown=True) for each in replicas(2)]
    assert decide(*kind) == [Start("w-0")]
    assert decide(*kind, awake("a", 950)) == []
    known = replace(kind[0], stage=Stage.AWAKE, since=100.0, unknown=False, probe=True)
    assert decide(known) == [Leave("w-0", "learned")]
    assert decide(busy(known)) == []


def test_what_is_hot_runs_wherever_there_is_memory_for_it() -> None:
    """One process of it; calls come first, and nobody makes room for it."""
    kind = [hot(each) for each in replicas(2)]
    assert decide(*kind) == [Start("w-0")]
    assert decide(*kind, awake("a", 950)) == []
    assert decide(*kind, called(asleep("a", 850))) == [Start("a"), Start("w-0")]
    assert decide(*kind, called(asleep("a", 950))) == [Start("a")]
    assert decide(*kind, memory=Memory(1000, 150, 1000)) == [], "memory is low"


def test_what_is_hot_comes_by_how_much_it_is_called() -> None:
    """Where there is memory for one."""
    policy = Policy(LIMITS)
    seldom, often = (hot(used(awake(name), 1.0, calls)) for name, calls in (("a", 1), ("b", 9)))
    policy.decide([seldom, often], PLENTY, 2.0)
    sleeping = [replace(each, stage=Stage.ASLEEP) for each in (seldom, often)]
    assert policy.decide(sleeping, replace(PLENTY, budget=150), 3.0) == [Start("b")]


def test_what_is_hot_is_not_ended_for_idleness() -> None:
    """The last of its processes, that is; and not after it was started to learn what it is."""
    assert decide(hot(awake("a", idle_s=50.0))) == []
    both = [hot(replace(each, stage=Stage.AWAKE)) for each in replicas(2, idle_s=50.0)]
    assert decide(*both) == [Leave("w-0", "idle")]
    assert decide(hot(replace(awake("a"), probe=True))) == []


def test_what_is_hot_makes_room_by_worth_and_last_among_equals() -> None:
    """It is no pin."""
    memory = replace(PLENTY, budget=250)
    new = called(asleep("new"))
    assert decide(hot(awake("a")), awake("b"), new, memory=memory) == [Leave("b", "memory")]
    assert decide(hot(awake("a")), used(awake("b"), 90.0), new, memory=memory) == [Leave("a", "memory")]


def test_more_replicas_of_what_is_busy() -> None:
    """One after another, where memory is free; nobody makes room for them."""
    policy = Policy(LIMITS)
    kind = replicas(3, idle_s=50.0)
    kind[0] = busy(replace(kind[0], stage=Stage.AWAKE), 5)
    assert policy.decide([*kind, awake("b", 850)], PLENTY, 100.0) == []
    assert policy.decide(kind, PLENTY, 100.0 + SCALE_S) == [Start("w-1")]
    kind[1] = replace(kind[1], stage=Stage.WAKING)
    kind[0] = busy(kind[0], 20)
    assert policy.decide(kind, PLENTY, 101.0 + 2 * SCALE_S) == []


def test_fewer_replicas_when_the_rest_will_do() -> None:
    """After it was calm for long."""
    policy = Policy(LIMITS)
    kind = [busy(used(replace(each, stage=Stage.AWAKE), 100.0)) for each in replicas(2, idle_s=50.0)]
    assert policy.decide([busy(kind[0], 9), kind[1]], PLENTY, 100.0) == []
    assert policy.decide(kind, PLENTY, 120.0) == []
    assert policy.decide(kind, PLENTY, 150.0) == [Leave("w-0", "spare")]


def test_when_memory_is_low_those_go_that_were_not_called_for_long() -> None:
    """All of them; others one after another, and only when there is very little."""
    old, lately = awake("old", idle_s=1e9), used(awake("lately", idle_s=1e9), 990.0)
    low, critical = Memory(1000, 15, 100), Memory(1000, 5, 100)
    assert decide(old, lately, now=1000.0, memory=PLENTY) == []
    assert decide(old, lately, now=1000.0, memory=low) == [Leave("old", "low memory")]
    assert decide(lately, now=1000.0, memory=low) == []
    assert decide(lately, awake("b", idle_s=1e9, priority=1), now=100.0, memory=critical) == [
        Leave("lately", "low memory")
    ]


def test_those_that_have_grown_make_room() -> None:
    """Until all fit again."""
    grown, other = awake("a", 700), used(awake("b", 400), 90.0, 5)
    assert decide(grown, other) == [Leave("a", "memory")]


class World:
    """Processes that obey, calls that come and go, a clock."""

    def __init__(self, members: list[Member], budget: int) -> None:
        self.members = {member.name: member for member in members}
        self.policy = Policy(LIMITS, Worth(fade=20.0))
        self.budget = budget
        self.now = 0.0
        self.ended: list[Member] = []

    def put(self, name: str, **changes: Any) -> None:
        demand = {key: changes.pop(key) for key in list(changes) if key in Demand.__dataclass_fields__}
        member = self.members[name]
        self.members[name] = replace(member, **changes, demand=replace(member.demand, **demand))

    def to(self, name: str, stage: Stage, **more: Any) -> None:
        self.put(name, stage=stage, since=self.now, **more)

    def look(self) -> None:
        """One decision, and what must be true of it."""
        members = list(self.members.values())
        actions = self.policy.decide(members, Memory(self.budget, 1 << 40, 1 << 40), self.now)
        assert len({action.name for action in actions}) == len(actions), "one thing with each"
        for action in actions:
            self.obey(action)
        assert sum(each.memory for each in self.members.values() if each.runs) <= self.budget
        assert sum(each.stage == Stage.WAKING for each in self.members.values()) <= LIMITS.max_starts

    def obey(self, action: Action) -> None:
        member = self.members[action.name]
        match action:
            case Start():
                assert member.stage == Stage.ASLEEP, "started once"
                self.to(action.name, Stage.WAKING)
            case Leave():
                assert member.stage == Stage.AWAKE and not member.demand.pinned
                assert action.forced or member.load == 0, "nobody would notice"
                self.to(action.name, Stage.LEAVING, forced=action.forced)
            case Stay():
                assert member.stage == Stage.LEAVING
                self.wake(action.name)
            case Stop():
                assert member.stage == Stage.LEAVING and not member.demand.in_flight
                assert not member.demand.pinned
                assert member.forced or not member.demand.waiting, "nobody waits for it"
                self.to(action.name, Stage.ASLEEP)

    def wake(self, name: str) -> None:
        demand = self.members[name].demand
        arrived = demand.waiting
        self.to(name, Stage.AWAKE, waiting=0, in_flight=demand.in_flight + arrived, calls=demand.calls + arrived)

    def call(self, name: str) -> None:
        demand = self.members[name].demand
        if self.members[name].stage == Stage.AWAKE:
            self.put(name, in_flight=demand.in_flight + 1, calls=demand.calls + 1, last_call=self.now)
        else:
            self.put(name, waiting=demand.waiting + 1)

    def answer(self, name: str) -> None:
        self.put(name, in_flight=max(0, self.members[name].demand.in_flight - 1))

    def pass_time(self, seconds: float) -> None:
        """Those who start are there after it."""
        self.now += seconds
        for name, member in list(self.members.items()):
            if member.stage == Stage.WAKING and self.now - member.since >= member.start_s:
                self.wake(name)


NAMES = "abcdef"
SIZES = st.lists(st.integers(1, 100), min_size=6, max_size=6)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["call", "answer", "pin", "unpin", "heat", "cool"]), st.sampled_from(NAMES)),
        st.tuples(st.just("pass"), st.sampled_from([0.05, 1.0, 12.0, 700.0])),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(SIZES, st.integers(100, 300), st.lists(st.integers(-1, 1), min_size=6, max_size=6), STEPS)
def test_whatever_happens(sizes: list[int], budget: int, priorities: list[int], steps: list[tuple[str, Any]]) -> None:
    """Never over the budget, nobody started twice, nobody ended who is busy, pinned or waited for; at the end, when
    calls are answered and pins are off, whoever waits is served."""
    each = zip(NAMES, sizes, priorities, strict=True)
    world = World([asleep(name, size, priority=priority) for name, size, priority in each], budget)
    for what, value in steps:
        match what:
            case "call":
                world.call(value)
            case "answer":
                world.answer(value)
            case "pass":
                world.pass_time(value)
            case "heat" | "cool":
                world.put(value, hot=what == "heat")
            case _:
                world.put(value, pinned=what == "pin")
        world.look()
    for name in NAMES:
        world.put(name, pinned=False)
    for _ in range(200):
        world.pass_time(0.5)
        for name in NAMES:
            world.answer(name)
        world.look()
    assert not any(member.demand.waiting for member in world.members.values())


@settings(deadline=None, max_examples=20)
@given(SIZES, st.integers(100, 250))
def test_all_have_their_turn_even_if_all_are_called_all_the_time(sizes: list[int], budget: int) -> None:
    """Nobody waits for ever where memory is too small for all."""
    world = World([asleep(name, size) for name, size in zip(NAMES, sizes, strict=True)], budget)
    served = set()
    for _ in range(400):
        world.pass_time(0.5)
        for name in NAMES:
            world.put(name, in_flight=0)
            world.call(name)
            if world.members[name].stage == Stage.AWAKE:
                served.add(name)
        world.look()
    assert served == set(NAMES)
