"""How `waypost.AsyncClient` waits: one call, one stream."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from typing import Any, TypeVar

import grpc.aio

from waypost import _calls, errors
from waypost._base import BaseClient, BaseGuarded
from waypost._calls import Call, Rpc
from waypost._streams import AsyncStream

R = TypeVar("R")
B = TypeVar("B", bound=Sequence[Any])

Batches = Iterable[B] | AsyncIterable[B]


class AsyncioClient(BaseClient):
    """Calls on a channel for asyncio."""

    async def _unary(self, call: Call[R], timeout: float | None) -> R:
        stub = self._stub(call.rpc, self._channel.unary_unary)
        sent = stub(call.request, timeout=self._seconds(timeout), metadata=self._metadata)
        try:
            reply, trailers = await sent, await sent.trailing_metadata()
        except grpc.aio.AioRpcError as error:
            raise errors.from_rpc(error) from None
        return _calls.routed(call.rpc.read(reply), trailers)

    def _stream(self, rpc: Rpc[R], kind: Callable[..., Any], request: object, timeout: float | None) -> AsyncStream[R]:
        stub = self._stub(rpc, kind)
        return AsyncStream(stub(request, timeout=self._seconds(timeout), metadata=self._metadata), rpc.read)


class AsyncGuarded(BaseGuarded):
    """Requests made of what a caller's iterator gives."""

    def __init__(self, batches: Batches[Any], build: Callable[[Any], Any]) -> None:
        self._batches = batches
        self._build = build

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            async for batch in _each(self._batches):
                yield self._build(batch)
        except Exception as error:
            self.error = error


async def _each(batches: Batches[B]) -> AsyncIterator[B]:
    if isinstance(batches, AsyncIterable):
        async for batch in batches:
            yield batch
        return
    for batch in batches:
        yield batch
