"""When a crashed process starts again: exponential backoff, and an end to it.

The first restart comes at once, so that a single crash costs little.  A process that ran well for a while starts over
with its backoff; one that crashes again and again within the window is given up.  Time is an argument.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(frozen=True)
class RestartPolicy:
    """Figures of the backoff, in seconds."""

    first_s: float = 0.1
    factor: float = 2.0
    longest_s: float = 10.0
    healthy_s: float = 30.0
    """A run of this length resets the backoff."""
    crashes: int = 6
    """Crashes within the window that end the restarts."""
    window_s: float = 60.0


@dataclass
class Restarts:
    """The crashes of one process."""

    policy: RestartPolicy = RestartPolicy()
    _recent: deque[float] = field(default_factory=deque)
    _streak: int = 0

    def crashed(self, now: float, ran_s: float) -> float | None:
        """Seconds to wait before the next start, after a run of `ran_s`; None: no more starts."""
        self._streak = 0 if ran_s >= self.policy.healthy_s else self._streak
        self._remember(now)
        if len(self._recent) >= self.policy.crashes:
            return None
        self._streak += 1
        return min(self.policy.longest_s, self.policy.first_s * self.policy.factor ** (self._streak - 1))

    def _remember(self, now: float) -> None:
        self._recent.append(now)
        while self._recent[0] < now - self.policy.window_s:
            self._recent.popleft()
