"""Our own rate limits for a provider: token buckets that hold a minute's worth.

`now` is seconds of any steady clock.  Tokens are known only when an answer is there, so their bucket may fall below
zero; nothing more is let through until it is full again above it.  A worker counts its own requests only.
"""

from __future__ import annotations

from services.refusal import RateLimited

MINUTE_S = 60.0


class Bucket:
    """`per_minute` units a minute, as many at once; 0: no limit."""

    def __init__(self, per_minute: int, now: float) -> None:
        self.per_minute = per_minute
        self._level = float(per_minute)
        self._at = now

    def wait_s(self, now: float) -> float:
        """Seconds until a whole unit is there; 0: it is."""
        if not self.per_minute:
            return 0.0
        return max(0.0, (1.0 - self._refilled(now)) * MINUTE_S / self.per_minute)

    def take(self, now: float, units: float) -> None:
        """Takes what was used, be it there or not."""
        self._level = self._refilled(now) - units
        self._at = now

    def _refilled(self, now: float) -> float:
        return min(self.per_minute, self._level + (now - self._at) * self.per_minute / MINUTE_S)


class Limits:
    """Requests and tokens per minute."""

    def __init__(self, requests: int, tokens: int, now: float) -> None:
        self._requests = Bucket(requests, now)
        self._tokens = Bucket(tokens, now)

    def admit(self, now: float) -> None:
        """Counts one request.

        Raises:
            RateLimited: there is no room for it now.
        """
        wait = max(self._requests.wait_s(now), self._tokens.wait_s(now))
        if wait > 0:
            raise RateLimited(wait)
        self._requests.take(now, 1)

    def spend(self, now: float, tokens: int) -> None:
        """Counts an answer's tokens."""
        self._tokens.take(now, tokens)
