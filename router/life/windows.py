"""When processes are started anew: in a window of the day, one after another, and so that no call fails.

A process is due that ran before the window opened, is old enough, and has grown enough where that is asked for.  Where
another of its kind runs, calls go there; else one that is asleep is started first, if memory has room for both.  One
that is alone and has calls is left alone in the first half of the window; then new calls wait, as for any that starts,
while it finishes those it has.  Should that take long, it goes on as before (`policy`), and is tried again later.

Pure: the time of day and the clock that processes live by are arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from router.life.members import Action, Member, Memory, Renew, Stage, Start
from waypost.config import Worker

RETRY_S = 120.0
"""Seconds after which one is tried again that had too much to do."""


@dataclass(frozen=True)
class Window:
    """A part of each day."""

    at: time
    lasts: timedelta
    min_age: timedelta = timedelta()
    growth: float = 0.0

    def opened(self, today: datetime) -> datetime | None:
        """When it opened, if it is open."""
        latest = datetime.combine(today, self.at)
        if latest > today:
            latest -= timedelta(days=1)
        return latest if today - latest < self.lasts else None

    def is_due(self, member: Member, opened: datetime, age: timedelta, today: datetime) -> bool:
        """Whether `member`, which is so old `today`, is to be started anew in the window that `opened`."""
        at_close = opened + self.lasts - today + age
        return today - age < opened and at_close >= self.min_age and member.grown >= self.growth


class Windows:
    """Of workers, by name."""

    def __init__(self, windows: Mapping[str, Window]) -> None:
        self._windows = windows
        self._tried: dict[str, float] = {}

    @classmethod
    def of(cls, workers: Iterable[Worker]) -> Windows:
        """As they are configured."""
        return cls({worker.name: _window(worker) for worker in workers if worker.restart})

    def decide(self, members: Sequence[Member], memory: Memory, now: float, today: datetime) -> list[Action]:
        """What is to be done: one thing at most, and nothing while another comes or goes."""
        ours = [member for member in members if member.rules.worker in self._windows]
        if any(member.stage in (Stage.WAKING, Stage.LEAVING) for member in ours):
            return []
        due = [member for member in ours if self._is_due(member, now, today)]
        for member in sorted(due, key=lambda member: (member.load, -member.memory)):
            if action := self._renewed(member, members, memory, now, today):
                return [action]
        return []

    def _is_due(self, member: Member, now: float, today: datetime) -> bool:
        window = self._windows[member.rules.worker]
        opened, age = window.opened(today), timedelta(seconds=now - member.born)
        was_tried = now - self._tried.get(member.name, -RETRY_S) < RETRY_S
        return (
            member.stage == Stage.AWAKE
            and opened is not None
            and not was_tried
            and window.is_due(member, opened, age, today)
        )

    def _renewed(
        self, member: Member, members: Sequence[Member], memory: Memory, now: float, today: datetime
    ) -> Action | None:
        others = [each for each in members if each.rules == member.rules and each.name != member.name]
        if not any(each.stage == Stage.AWAKE for each in others):
            asleep = [each for each in others if each.stage == Stage.ASLEEP and _fits(each, members, memory)]
            if asleep and (member.rules.least or member.load):
                return Start(asleep[0].name)
            if member.load and not self._is_late(member, today):
                return None
        self._tried[member.name] = now
        return Renew(member.name)

    def _is_late(self, member: Member, today: datetime) -> bool:
        window = self._windows[member.rules.worker]
        opened = window.opened(today)
        return opened is not None and today - opened >= window.lasts / 2


def _fits(member: Member, members: Sequence[Member], memory: Memory) -> bool:
    used = sum(each.memory for each in members if each.runs)
    return member.memory <= min(memory.budget - used, memory.free)


def _window(worker: Worker) -> Window:
    said = worker.restart
    assert said
    at = time.fromisoformat(said.at)
    return Window(at, timedelta(seconds=said.lasts_s), timedelta(days=said.min_age_days), said.growth or 0.0)
