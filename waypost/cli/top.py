"""`waypost top`: the mesh while it works, one frame a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waypost.cli import show
from waypost.cli.options import Address, Json, address_or_running
from waypost.cli.rates import Counters, Past

if TYPE_CHECKING:
    from rich.console import RenderableType

    from waypost.aio import AsyncClient
    from waypost.control import Budget
    from waypost.observed import Decision, RouterStatus
    from waypost.results import InstanceStatus, ModelInfo

DECISIONS = 50
"""Asked for at each look; as many are shown as there is room for."""


class Sort(StrEnum):
    """What the rows are sorted by, most first."""

    CALLS = "calls"
    FAILED = "failed"
    P95 = "p95"
    BUSY = "busy"
    NAME = "name"


@dataclass(frozen=True)
class Frame:
    """What one look found; what this caller may not see, or nobody knows now, is None."""

    address: str
    now: datetime
    status: RouterStatus
    instances: Sequence[InstanceStatus]
    models: Sequence[ModelInfo]
    budget: Budget | None
    decisions: Sequence[Decision]
    past: Past
    counters: Counters


def top(
    address: Address = "",
    sort: Annotated[Sort, typer.Option(help="What instances and models are sorted by.")] = Sort.CALLS,
    window: Annotated[int, typer.Option(help="Seconds that rates are means of.", min=1, max=900)] = 10,
    every: Annotated[float, typer.Option(help="Seconds between two frames.", min=0.1)] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print one frame, of two looks, and end.")] = False,
    json: Json = False,
) -> None:
    """Calls, latencies, tokens, money, instances, models and the last decisions, once a second until Ctrl-C.

    It goes on while the router is away, and with it when it is back.  With --json, what one look found.
    """
    from waypost.cli.watching import watch

    mesh = Mesh(sort, window)
    if not once and not json:
        return watch(lambda: address_or_running(address), mesh.look, every, whole=True)
    frame = asyncio.run(_twice(mesh, address_or_running(address), every))
    if json:
        return show.as_json(_plain(frame))
    show.console().print(mesh.shown(frame, height=None))


async def _twice(mesh: Mesh, address: str, every_s: float) -> Frame:
    """What models do is known from two looks."""
    from waypost.cli.watching import client

    async with client(address) as called:
        await mesh.seen(called)
        await asyncio.sleep(every_s)
        return await mesh.seen(called)


@dataclass
class Mesh:
    """A mesh that is looked at again and again."""

    sort: Sort
    window_s: int
    _past: Past = field(init=False)
    _counters: Counters = field(init=False)
    _started: datetime | None = None

    def __post_init__(self) -> None:
        self._begin(None)

    def _begin(self, started: datetime | None) -> None:
        self._past, self._counters, self._started = Past(self.window_s), Counters(self.window_s), started

    async def look(self, client: AsyncClient) -> RenderableType:
        """A frame that fits the terminal."""
        return self.shown(await self.seen(client), show.console().height)

    def shown(self, frame: Frame, height: int | None) -> RenderableType:
        """The frame, of at most so many lines."""
        from waypost.cli.top_view import View

        return View(frame, self.sort, height)

    async def seen(self, client: AsyncClient) -> Frame:
        """Everything at once.

        Raises:
            WaypostError: the router is away, or this caller may not look.
        """
        status = await client.status()
        if status.started != self._started:
            self._begin(status.started)
        history, instances, models, budget, decisions, metrics = await asyncio.gather(
            client.history(self._past.until),
            client.instances(),
            client.models(),
            _perhaps(client.budget()),
            client.decisions(DECISIONS),
            client.metrics(own_only=True),
        )
        self._past.add(history)
        self._counters.add(time.monotonic(), metrics)
        now = datetime.now().astimezone()
        return Frame(client.address, now, status, instances, models, budget, decisions, self._past, self._counters)


async def _perhaps(answer: Any) -> Any:
    """None while the ledger is away."""
    from waypost.errors import RetryableError

    try:
        return await answer
    except RetryableError:
        return None


def _plain(frame: Frame) -> dict[str, Any]:
    from waypost.cli.top_view import failed

    past = frame.past
    return {
        "status": frame.status,
        "instances": frame.instances,
        "models": [asdict(each) | {"rates": frame.counters.of(each.name)} for each in frame.models],
        "budget": frame.budget,
        "window_s": past.window_s,
        "calls_per_s": past.per_second(lambda point: point.calls),
        "failed_per_s": past.per_second(failed),
        "tokens_per_s": past.per_second(lambda point: point.completion_tokens),
        "p50": past.quantile(0.5),
        "p95": past.quantile(0.95),
        "decisions": [each.line for each in frame.decisions],
    }
