"""How much is lost when a process is ended: LRFU (Lee et al., 2001), by what a start costs and what memory it frees.

A process is worth `calls * seconds to start / bytes`: what its next calls would wait, per byte that it holds.  A call
counts half after `FADE` calls of all models, and a quarter after twice as many, so what is not called any more falls
behind at the pace of the calls and not at one of the wall clock.  Calls are remembered also of what is asleep, so that
a popular model is not a stranger when it comes back.

Where calls fade at once this is LRU, which forgets who is popular when a few rare models are called in a row; where
they never do it is LFU, which never forgets who was.  GreedyDual-Size-Frequency, with its clock that rises whenever
somebody makes room, did worse than LRU where popularity moves.  `python -m bench.life` compares them.
"""

from __future__ import annotations

from collections.abc import Iterable

from router.life.members import Member

FADE = 100.0
"""Calls, of all models, after which a call counts half."""
GIB = 1024.0**3


class Worth:
    """Remembers calls."""

    def __init__(self, fade: float = FADE) -> None:
        self._fade = fade
        self._seen: dict[str, int] = {}
        self._calls: dict[str, float] = {}

    def observe(self, members: Iterable[Member]) -> None:
        """Takes note of the calls since the last time."""
        fresh = {member.name: self._fresh(member) for member in members}
        faded = 0.5 ** (sum(fresh.values()) / self._fade)
        for name, calls in fresh.items():
            self._calls[name] = self._calls.get(name, 0.0) * faded + calls

    def of(self, member: Member) -> float:
        """The worth of `member` now: the lower, the sooner it makes room."""
        return self._calls.get(member.name, 0.0) * member.start_s / max(member.memory / GIB, 1e-3)

    def _fresh(self, member: Member) -> int:
        calls, seen = member.demand.calls, self._seen.get(member.name, 0)
        self._seen[member.name] = calls
        return calls - seen if calls >= seen else calls  # it begins anew with a new router
