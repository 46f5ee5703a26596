"""GET /api/live: how the mesh fares, once a second, for as long as somebody looks; and GET /api/decisions.

Each stream asks the router with its own caller's key.  An event is asked for when the one before is sent, so a slow
reader gets fewer events and costs no memory; one who reads nothing at all is cut after a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import grpc
from grpc.aio import AioRpcError
from pydantic import Field
from typing_extensions import TypedDict

from router.http.exchange import Exchange
from router.http.failure import ClientGone, Failure
from router.http.reply import Events
from router.http.shape import Query
from waypost import _control, _observed, _replies, control, observed, results
from waypost.v1 import mesh_pb2

PERIOD_S = 1.0
PATIENCE_S = 2.0
"""How long the router may take for one event; then it counts as lost, until it answers."""
STALLED_S = 30.0
"""How long a reader may take for one event."""
FIRST, LATER = 100, 200
"""Most decisions of an event."""
FINAL = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNIMPLEMENTED})
"""What a router says that will say so again."""


class LiveEvent(TypedDict, total=False):
    """How the mesh fares now, and what has come since the event before.

    The first event has all of the history that is kept, as has one with `reset`: the router was away.  With `error`,
    which says that it is, there is nothing else.
    """

    reset: bool
    status: observed.RouterStatus
    instances: tuple[results.InstanceStatus, ...]
    models: tuple[results.ModelInfo, ...]
    budget: control.Budget
    rollouts: tuple[control.RolloutStatus, ...]
    history: observed.History
    decisions: tuple[observed.Decision, ...]
    error: str


class DecisionsQuery(Query):
    """Which decisions."""

    limit: Annotated[int, Field(ge=1, le=1000)] = FIRST
    """Most to return: the latest."""
    after: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    """Only those after the one of this number."""
    request_id: Annotated[str, Field(max_length=64)] = ""
    """Only those of this request."""


class Decisions(TypedDict):
    """Oldest first."""

    decisions: tuple[observed.Decision, ...]


class Audience:
    """Who looks on: so many at once, and all leave when the gateway ends."""

    def __init__(self, limit: int) -> None:
        self.ending = asyncio.Event()
        self._limit = limit
        self._inside = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """One more, until the block ends."""
        if self._inside >= self._limit:
            message = f"{self._limit} live streams are open, which is the limit: see http.max_live"
            raise Failure(429, message, "gateway_full", kind="rate_limit_error", headers={"retry-after": "5"})
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1


class View:
    """What one onlooker has seen so far."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._began: datetime | None = None
        self._forget()

    def _forget(self) -> None:
        self._seen: datetime | None = None
        self._number = 0

    async def event(self) -> LiveEvent:
        """What is new.

        Raises:
            AioRpcError: the router refuses for good.
        """
        try:
            return await self._told()
        except AioRpcError as error:
            if error.code() in FINAL:
                raise
            self._forget()
            return {"error": f"the router does not answer: {error.details()}"}

    async def _told(self) -> LiveEvent:
        status = _observed.status(await self._ask(self._exchange.upstream.status, mesh_pb2.GetStatusRequest()))
        if status.started != self._began:
            self._forget()
        anew, first = self._seen is None, self._began is None
        event = await self._rest(status)
        self._began = status.started
        return event if first or not anew else {"reset": True, **event}

    async def _rest(self, status: observed.RouterStatus) -> LiveEvent:
        to = self._exchange.upstream
        limit = LATER if self._number else FIRST
        instances, models, budget, rollouts, history, decisions = await asyncio.gather(
            self._ask(to.instances, mesh_pb2.ListInstancesRequest()),
            self._ask(to.models, mesh_pb2.ListModelsRequest()),
            self._ask(to.budget, mesh_pb2.GetBudgetRequest()),
            self._ask(to.rollouts, mesh_pb2.ListRolloutsRequest()),
            self._ask(to.history, _observed.get_history(self._seen)),
            self._ask(to.decisions, mesh_pb2.ListDecisionsRequest(limit=limit, after=self._number)),
        )
        # Of a quarter of an hour: a large mesh's takes 30 ms to be read.
        read = await asyncio.to_thread(_observed.history, history)
        return {
            "status": status,
            "instances": _replies.instances(instances),
            "models": _replies.models(models),
            "budget": _control.budget(budget),
            "rollouts": _control.rollouts(rollouts),
            "history": self._until(read),
            "decisions": self._numbered(_observed.decisions(decisions)),
        }

    def _until(self, history: observed.History) -> observed.History:
        if history.points:
            self._seen = history.points[-1].time
        return history

    def _numbered(self, decisions: tuple[observed.Decision, ...]) -> tuple[observed.Decision, ...]:
        if decisions:
            self._number = decisions[-1].number
        return decisions

    async def _ask(self, stub: Any, request: Any) -> Any:
        return await self._exchange.start(stub, request, PATIENCE_S)


def live(audience: Audience) -> Callable[[Exchange, None], Awaitable[Events]]:
    """The endpoint."""

    async def live(exchange: Exchange, ask: None) -> Events:
        """How the mesh fares, as server-sent events: one a second."""
        exchange.send = _impatient(exchange.send)
        events = _events(exchange, audience)
        first = await anext(events)
        return Events(_all(first, events))

    return live


async def _all(first: LiveEvent, events: AsyncIterator[LiveEvent]) -> AsyncIterator[LiveEvent]:
    yield first
    async for each in events:
        yield each


async def _events(exchange: Exchange, audience: Audience) -> AsyncIterator[LiveEvent]:
    """Until the gateway ends.

    Raises:
        ClientGone: nobody looks on any more.
    """
    view = View(exchange)
    with audience.one(), exchange.left() as gone:
        ending = asyncio.create_task(audience.ending.wait())
        try:
            while not ending.done():
                yield await view.event()
                await asyncio.wait((gone, ending), timeout=PERIOD_S, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    raise ClientGone
        finally:
            ending.cancel()


def _impatient(send: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    """Sends to those who read."""

    async def sent(message: Any) -> None:
        try:
            async with asyncio.timeout(STALLED_S):
                await send(message)
        except TimeoutError:
            raise ClientGone from None

    return sent


async def decisions(exchange: Exchange, ask: DecisionsQuery) -> Decisions:
    """The router's latest decisions, as they stand in its log."""
    request = mesh_pb2.ListDecisionsRequest(limit=ask.limit, after=ask.after, request_id=ask.request_id)
    return {"decisions": _observed.decisions(await exchange.call(exchange.upstream.decisions, request))}
