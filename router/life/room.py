"""Which starts fit into memory, and who makes room for them.

Who has waited longest is served first.  Memory that is being made for one is not given to those behind it; one for
whom none can be made yet lets those behind it pass, until it has waited for its `patience_s`: then it holds what is
free, and those make room who are called all the time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from router.life.members import Action, Fail, Leave, Member, Memory, Stage, Start
from router.life.worth import Worth

STAY_S = 1.0
"""Seconds that a process is left alone after its start: those who waited for it are just coming."""
STARTS_OF_STAY = 3.0
"""A process that is called all the time runs for so many times what its start took, at least, before it makes room."""


@dataclass(frozen=True)
class Want:
    """A start that is wanted."""

    member: Member
    since: float
    must: bool = False
    """It always runs, whatever memory it takes."""
    may_evict: bool = True


class Room:
    """Memory and starts that are left while one decision is made."""

    def __init__(self, members: Sequence[Member], memory: Memory, now: float, worth: Worth, patience_s: float) -> None:
        self.actions: list[Action] = []
        self._members = members
        self._now = now
        self._worth = worth
        self._patience_s = patience_s
        self._budget = memory.budget
        self._used = sum(member.memory for member in members if member.runs)
        # What is being started has not taken its memory yet.
        promised = sum(member.memory for member in members if member.stage == Stage.WAKING)
        self._left = min(memory.budget - self._used, memory.free - promised)
        self._coming = sum(member.memory for member in members if member.stage == Stage.LEAVING)
        self._leaving: set[str] = set()
        self._staying = Counter(member.rules.worker for member in members if member.stays)

    def serve(self, wants: Iterable[Want], starts: int) -> None:
        """Starts what fits, `starts` at most, and has others make room; whoever is wanted twice starts once."""
        once: dict[str, Want] = {}
        for want in wants:
            once.setdefault(want.member.name, want)
        for want in once.values():
            if want.member.memory > self._budget and not want.must:
                self.actions.append(Fail(want.member.name, self._too_large(want.member)))
            elif starts > 0:
                starts -= self._serve(want)

    def leave(self, member: Member, why: str, forced: bool = False) -> None:
        """Has `member` leave."""
        self.actions.append(Leave(member.name, why, forced))
        self._leaving.add(member.name)
        self._staying[member.rules.worker] -= 1
        self._coming += member.memory

    def may_leave(self, member: Member) -> bool:
        """Whether `member` may be ended, as far as pins and the least number of its kind go."""
        return (
            member.stage == Stage.AWAKE
            and member.name not in self._leaving
            and not member.demand.pinned
            and self.others(member) >= member.rules.least
        )

    def others(self, member: Member) -> int:
        """Processes of its kind that would stay if it left."""
        stays = member.stays and member.name not in self._leaving
        return self._staying[member.rules.worker] - stays

    def is_idle(self, member: Member) -> bool:
        """Whether nobody would notice if it left."""
        return self.may_leave(member) and member.load == 0 and self._now - member.since >= STAY_S

    def shrink(self) -> None:
        """Has idle ones leave where the running ones have grown over the budget."""
        for member in filter(self.is_idle, self.by_worth()):
            if self._used - self._coming <= self._budget:
                return
            self.leave(member, "memory")

    def by_worth(self) -> list[Member]:
        """The members, those first who make room first; of two who are worth the same the one stays that is hot, or
        was of use later."""
        return sorted(self._members, key=self._rank)

    def _rank(self, member: Member) -> tuple[int, float, bool, float]:
        return member.rules.priority, self._worth.of(member), member.demand.hot, member.used()

    def _serve(self, want: Want) -> bool:
        """Whether a start was used up, or will be."""
        need = want.member.memory
        if need <= self._left or want.must:
            self.actions.append(Start(want.member.name))
            self._left -= need
            return True
        if not want.may_evict:
            return False
        is_late = self._now - want.since >= self._patience_s
        short = need - self._left
        if short > self._coming:
            self._make(short - self._coming, is_late)
        made = short <= self._coming
        if made:
            self._coming -= short
        if made or is_late:
            self._left = min(self._left, 0)
        return made

    def _make(self, short: int, is_late: bool) -> None:
        """Has those of the least worth leave who make at least so much room, if there are any."""
        idle = [member for member in self.by_worth() if self.is_idle(member)]
        chosen = _enough(idle, short)
        if not chosen and is_late:
            able = [member for member in self.by_worth() if self.is_idle(member) or self._is_served(member)]
            chosen = _enough(able, short)
        for member in chosen:
            self.leave(member, "memory", forced=not self.is_idle(member))

    def _is_served(self, member: Member) -> bool:
        """Whether it has had its turn."""
        turn = max(self._patience_s, STARTS_OF_STAY * member.start_s)
        return self.may_leave(member) and self._now - member.since >= turn

    def _too_large(self, member: Member) -> str:
        return (
            f"it takes about {member.memory} bytes of memory, and all workers have {self._budget}: "
            "raise router.life.memory_bytes"
        )


def _enough(candidates: Sequence[Member], short: int) -> list[Member]:
    """The first of `candidates` who free `short` bytes together, without those who need not; empty: they cannot."""
    chosen: list[Member] = []
    for member in candidates:
        if sum(each.memory for each in chosen) >= short:
            break
        chosen.append(member)
    freed = sum(each.memory for each in chosen)
    if freed < short:
        return []
    for member in reversed(chosen[:]):
        if freed - member.memory >= short:
            chosen.remove(member)
            freed -= member.memory
    return chosen
