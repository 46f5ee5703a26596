"""How much is lost when a process is ended: GreedyDual-Size-Frequency (Cherkasova, HP Labs, 1998).

A process is worth `clock + calls * seconds to start / bytes`: what its next calls would wait, per byte that it holds.
The clock is the worth of the one that was ended last, so that what is not called any more falls behind, at the pace at
which memory is fought for and not at one of the wall clock.  Calls fade by half with each `FADE` of all calls, and they
are remembered also of what is asleep, so that a popular model is not a stranger when it comes back.

Plain LRU forgets who is popular when a few rare models are called in a row; plain LFU never forgets who was.
`python -m bench.life` compares them.
"""

from __future__ import annotations

from collections.abc import Iterable

from router.life.members import Member

FADE = 500.0
"""Calls, of all models, after which a call counts half."""
GIB = 1024.0**3


class Worth:
    """Remembers calls."""

    def __init__(self, fade: float = FADE) -> None:
        self._fade = fade
        self._clock = 0.0
        self._seen: dict[str, int] = {}
        self._calls: dict[str, float] = {}
        self._level: dict[str, float] = {}

    def observe(self, members: Iterable[Member]) -> None:
        """Takes note of the calls since the last time."""
        fresh = {member: self._fresh(member) for member in members}
        faded = 0.5 ** (sum(fresh.values()) / self._fade)
        for name in self._calls:
            self._calls[name] *= faded
        for member, calls in fresh.items():
            if calls:
                self._calls[member.name] = self._calls.get(member.name, 0.0) + calls
                self._level[member.name] = self._clock + self._gain(member)

    def of(self, member: Member) -> float:
        """The worth of `member` now: the lower, the sooner it makes room."""
        return self._level.get(member.name, 0.0)

    def ended(self, member: Member) -> None:
        """`member` makes room for another."""
        self._clock = max(self._clock, self.of(member))

    def _fresh(self, member: Member) -> int:
        calls, seen = member.demand.calls, self._seen.get(member.name, 0)
        self._seen[member.name] = calls
        return calls - seen if calls >= seen else calls  # it begins anew with a new router

    def _gain(self, member: Member) -> float:
        return self._calls[member.name] * member.start_s / max(member.memory / GIB, 1e-3)
