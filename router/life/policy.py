"""What is to be done with the processes now.  Pure: members, memory and the time go in, actions come out.

leaving    those who are about to be ended: back, if they are wanted again; ended, when they have nothing left
wanted     what should run and does not: those that always run, what calls wait for, what is hot, what nobody knows
           yet, more replicas of what is busy; `room` says who of them may start
idle       what nobody has called for its `idle_s`, unless it is hot, and replicas that the others can do without
memory     where the machine has little left: what was not called for long
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from router.life.members import Action, Member, Memory, Rules, Stage, Stay, Stop
from router.life.room import Room, Want
from router.life.worth import Worth

Kind = tuple[Rules, list[Member]]
"""A worker: its rules, its processes."""

SETTLE_S = 0.1
"""Seconds after which the router has surely heard that it is to send nothing new, and has said what is under way."""
HOLD_UP_S = 10.0
"""Seconds that calls wait at most for one that is to be started anew to finish those it has; then it goes on."""
CALM = 0.5
"""Share of `busy_per_replica` that the rest would have, at most, when a replica is ended."""
SCALE_S = 5.0
"""Seconds between two starts of replicas because the others are busy, at least."""


@dataclass(frozen=True)
class Limits:
    """Of `router.life`."""

    max_starts: int = 2
    patience_s: float = 10.0
    evict_idle_s: float = 21_600.0
    low_memory: float = 0.2
    busy_per_replica: float = 8.0


class Policy:
    """Decides, and remembers who has waited for how long and how much each was called."""

    def __init__(self, limits: Limits, worth: Worth | None = None) -> None:
        self._limits = limits
        self._worth = worth or Worth()
        self._wanted: dict[str, float] = {}
        self._calm: dict[str, float] = {}
        self._scaled: dict[str, float] = {}

    def decide(self, members: Sequence[Member], memory: Memory, now: float) -> list[Action]:
        """What is to be done; at most one thing with each."""
        kinds = _kinds(members)
        self._observe(members, kinds, now)
        room = Room(members, memory, now, self._worth, self._limits.patience_s)
        wants = sorted(self._called(members), key=lambda want: want.since)
        starts = self._limits.max_starts - sum(member.stage == Stage.WAKING for member in members)
        hot = () if self.is_low(memory) else self._hot(kinds, now)
        spare = [*hot, *_unknown(kinds, now), *self._more(kinds, now)]
        room.serve([*_always(kinds, now), *wants, *spare], starts)
        room.shrink()
        for member in members:
            if why := _idle(member, room, now):
                room.leave(member, why)
        for member in self._spare(kinds, room, now):
            room.leave(member, "spare")
            self._calm[member.rules.worker] = now
        for member in self._unused(room, memory, now):
            room.leave(member, "low memory")
        return [*_left(members, now), *room.actions]

    def is_low(self, memory: Memory) -> bool:
        """Whether the machine has little memory left."""
        return memory.is_low(self._limits.low_memory)

    def is_held_up(self, members: Sequence[Member]) -> bool:
        """Whether something waits for the end of another, so that the next look should come soon."""
        return any(member.stage == Stage.LEAVING or _is_called(member) for member in members)

    def _observe(self, members: Sequence[Member], kinds: Sequence[Kind], now: float) -> None:
        self._worth.observe(members)
        self._wanted = {each.name: self._wanted.get(each.name, now) for each in members if _is_called(each)}
        for rules, kind in kinds:
            if not self._is_calm(kind):
                self._calm[rules.worker] = now

    def _is_calm(self, kind: Sequence[Member]) -> bool:
        """Whether one process fewer would do."""
        others = sum(member.stays for member in kind) - 1
        load = sum(member.load for member in kind)
        return others > 0 and load <= CALM * self._limits.busy_per_replica * others

    def _called(self, members: Sequence[Member]) -> Iterator[Want]:
        return (Want(member, self._wanted[member.name]) for member in members if _is_called(member))

    def _hot(self, kinds: Sequence[Kind], now: float) -> Iterator[Want]:
        """One process of each kind that is hot, those first that are called most; nobody makes room for them."""
        for _, kind in sorted(kinds, key=lambda kind: -max(map(self._worth.of, kind[1]))):
            asleep = [member for member in _asleep(kind) if member.demand.hot and not member.unknown]
            if asleep and _is_still(kind):
                yield Want(asleep[0], now, may_evict=False)

    def _more(self, kinds: Sequence[Kind], now: float) -> Iterator[Want]:
        """Replicas of those who are busy, one at a time."""
        for rules, kind in kinds:
            running, asleep = [each for each in kind if each.stays], _asleep(kind)
            starting = any(each.stage == Stage.WAKING for each in running)
            busy = sum(each.load for each in kind) > self._limits.busy_per_replica * len(running)
            if not (running and asleep and busy) or starting or any(map(_is_called, kind)):
                continue
            if now - self._scaled.get(rules.worker, -SCALE_S) >= SCALE_S:
                self._scaled[rules.worker] = now
                yield Want(asleep[0], now, may_evict=False)

    def _spare(self, kinds: Sequence[Kind], room: Room, now: float) -> Iterator[Member]:
        for rules, kind in kinds:
            if now - self._calm.get(rules.worker, now) < rules.idle_s:
                continue
            able = [member for member in kind if room.may_leave(member)]
            if able and sum(member.stays for member in kind) > 1:
                yield min(able, key=lambda member: member.load)

    def _unused(self, room: Room, memory: Memory, now: float) -> list[Member]:
        if not self.is_low(memory):
            return []
        idle = [member for member in room.by_worth() if room.is_idle(member)]
        long = [member for member in idle if now - member.used() >= self._limits.evict_idle_s]
        return long or (idle[:1] if memory.is_low(self._limits.low_memory / 2) else [])


def _left(members: Sequence[Member], now: float) -> Iterator[Action]:
    for member in members:
        if member.stage != Stage.LEAVING:
            continue
        if _is_wanted_back(member, now):
            yield Stay(member.name)
        elif not member.demand.in_flight and min(now, member.heard) - member.since >= SETTLE_S:
            yield Stop(member.name)


def _is_wanted_back(member: Member, now: float) -> bool:
    if member.renews:
        return member.demand.waiting > 0 and member.demand.in_flight > 0 and now - member.since >= HOLD_UP_S
    return member.demand.pinned or (member.demand.waiting > 0 and not member.forced)


def _always(kinds: Sequence[Kind], now: float) -> Iterator[Want]:
    for rules, kind in kinds:
        missing = rules.least - sum(member.stays for member in kind)
        yield from (Want(member, now, must=True) for member in _asleep(kind)[: max(0, missing)])


def _unknown(kinds: Sequence[Kind], now: float) -> Iterator[Want]:
    """One of each kind: the others serve the same."""
    for _, kind in kinds:
        asleep = [member for member in _asleep(kind) if member.unknown]
        if asleep and _is_still(kind):
            yield Want(asleep[0], now, may_evict=False)


def _idle(member: Member, room: Room, now: float) -> str:
    """Why it may leave; empty: it may not."""
    if member.demand.hot and not room.others(member):
        return ""
    if member.probe and not member.unknown and room.may_leave(member) and member.load == 0:
        return "learned"
    return "idle" if room.is_idle(member) and now - member.used() >= member.rules.idle_s else ""


def _is_called(member: Member) -> bool:
    return member.stage == Stage.ASLEEP and member.demand.waiting > 0


def _is_still(kind: Sequence[Member]) -> bool:
    """Whether none of them runs, and none is called, who would be started for that."""
    return not any(member.runs or _is_called(member) for member in kind)


def _asleep(kind: Sequence[Member]) -> list[Member]:
    return [member for member in kind if member.stage == Stage.ASLEEP]


def _kinds(members: Sequence[Member]) -> list[Kind]:
    """The members by worker; those of one stand together."""
    kinds = (list(kind) for _, kind in groupby(members, key=lambda member: member.rules.worker))
    return [(kind[0].rules, kind) for kind in kinds]
