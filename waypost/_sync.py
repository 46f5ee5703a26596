"""How `waypost.Client` waits: one call, one stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import grpc

from waypost import _calls, errors
from waypost._base import BaseClient, BaseGuarded
from waypost._calls import Call, Rpc
from waypost._streams import Stream

R = TypeVar("R")


class SyncClient(BaseClient):
    """Calls on a channel for threads."""

    def _unary(self, call: Call[R], timeout: float | None) -> R:
        stub = self._stub(call.rpc, self._channel.unary_unary)
        try:
            reply, ended = stub.with_call(call.request, timeout=self._seconds(timeout), metadata=self._metadata)
        except grpc.RpcError as error:
            raise errors.from_rpc(error) from None
        return _calls.routed(call.rpc.read(reply), ended.trailing_metadata())

    def _stream(self, rpc: Rpc[R], kind: Callable[..., Any], request: object, timeout: float | None) -> Stream[R]:
        stub = self._stub(rpc, kind)
        return Stream(stub(request, timeout=self._seconds(timeout), metadata=self._metadata), rpc.read)


class Guarded(BaseGuarded):
    """Requests made of what a caller's iterator gives."""

    def __init__(self, batches: Iterable[Sequence[Any]], build: Callable[[Sequence[Any]], Any]) -> None:
        self._batches = batches
        self._build = build

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from map(self._build, self._batches)
        except Exception as error:
            self.error = error
