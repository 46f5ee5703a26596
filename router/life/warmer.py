"""The shortest of requests to what runs and is hot or was called lately, so that it is not swapped or paged out.

They go to the process itself and not through the router, where they would count as calls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog

from router.life.members import Stage
from router.life.processes import Attended
from waypost.aio import AsyncClient
from waypost.errors import WaypostError
from waypost.results import ModelInfo
from waypost.tls import Tls

TEXT = "warm"
PATIENCE_S = 10.0

log = structlog.get_logger()


class Warmer:
    """Asks every so many seconds; 0: never."""

    def __init__(self, every_s: float, tls: Tls | None = None) -> None:
        self._every_s = every_s
        self._tls = tls

    async def keep(self, processes: Callable[[], Sequence[Attended]]) -> None:
        """Keeps those of `processes` warm that should be, until it is cancelled."""
        while self._every_s:
            await asyncio.sleep(self._every_s)
            for process in processes():
                if cools(process, time.monotonic()):
                    await self._warm(process)

    async def _warm(self, process: Attended) -> None:
        try:
            async with AsyncClient(process.plan.address, timeout=PATIENCE_S, tls=self._tls or False) as client:
                for model in (await client.instance()).models:
                    await ask(client, model)
        except WaypostError as error:
            log.debug("not warmed", child=process.plan.name, error=str(error))


def cools(process: Attended, now: float) -> bool:
    """Whether a process runs, has nothing to do at the moment, and is likely to be called."""
    demand = process.demand
    is_free = process.stage == Stage.AWAKE and not demand.in_flight
    was_called = demand.last_call is not None and now - demand.last_call < process.rules.idle_s
    return is_free and (demand.pinned or demand.hot or was_called)


async def ask(client: AsyncClient, model: ModelInfo) -> None:
    """The least that `model` can be asked for: a token, a vector, an order.  Stores of documents need nothing."""
    text = f"{TEXT} {time.monotonic()}"  # vectors of what was seen before are not computed again
    if "generate" in model.tasks:
        await client.generate(text, model=model.name, max_tokens=1)
    elif "embed" in model.tasks:
        await client.embed([text], model=model.name)
    elif "rerank" in model.tasks:
        await client.rerank(text, [text], model=model.name)
