"""The memory watchdog: a warning in the log when the machine has little memory left, and a word when that is over.

`Lookout` keeps it where no worker needs an attendant, which has one of its own.
"""

from __future__ import annotations

import asyncio

import structlog

from router.life import memory
from router.life.members import Memory

LOOK_S = 5.0
SLACK = 1.1
"""How many times the limit must be free before memory is no longer low, so that nobody is told again and again."""

log = structlog.get_logger()


class Watchdog:
    """Knows whether memory is low: less than this share of it is free."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._is_low = False

    def look(self, available: Memory) -> None:
        """Says what has changed."""
        was_low, self._is_low = self._is_low, available.is_low(self._share, SLACK if self._is_low else 1.0)
        if self._is_low and not was_low:
            log.warning("memory is low", free_bytes=available.free, total_bytes=available.total)
        elif was_low and not self._is_low:
            log.info("memory is no longer low", free_bytes=available.free, total_bytes=available.total)


class Lookout:
    """An attendant of nobody (`router.supervisor.Attendant`), who only looks."""

    def __init__(self, share: float) -> None:
        self._watchdog = Watchdog(share)

    async def attend(self) -> None:
        """Looks until it is cancelled."""
        while True:
            self._watchdog.look(memory.now(0))
            await asyncio.sleep(LOOK_S)

    async def settled(self) -> None:
        """There is nothing to wait for."""

    async def stop(self) -> None:
        """Nobody is to be ended."""

    def kill(self) -> None:
        """Nobody is to be ended."""

    def serving(self) -> dict[str, str]:
        """Nobody."""
        return {}
