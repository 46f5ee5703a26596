"""Replies of a stream as they come, and the way to stop them: `Stream` for threads, `AsyncStream` for asyncio.

    with client.generate_stream("Tell me a story") as chunks:
        for chunk in chunks:
            ...

Leaving the block, `close`, or dropping the iterator cancels the call at once, so that the server can stop working on
it.  These are classes and not generators because a generator can be closed neither from another thread nor while
somebody waits for its next value, and an asynchronous one that is left by `break` waits for the garbage collector.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import grpc
import grpc.aio

from waypost import errors
from waypost._trailers import routing
from waypost.results import Routing

R = TypeVar("R")


class Stream(Generic[R]):
    """An iterator over the replies of one call; `routing` is there once it was read to its end."""

    def __init__(self, replies: Any, read: Callable[[Any], R]) -> None:
        self.routing = Routing()
        self._replies = replies
        self._read = read

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> R:
        try:
            return self._read(next(self._replies))
        except StopIteration:
            self.routing = routing(self._replies.trailing_metadata())
            raise
        except grpc.RpcError as error:
            raise errors.from_rpc(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancels the call unless it is over; from any thread.  Whoever waits for the next reply gets `Cancelled`."""
        self._replies.cancel()

    __del__ = close


class AsyncStream(Generic[R]):
    """An asynchronous iterator over the replies of one call; `routing` is there once it was read to its end."""

    def __init__(self, replies: Any, read: Callable[[Any], R]) -> None:
        self.routing = Routing()
        self._replies = replies
        self._iterator = aiter(replies)
        self._read = read
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> R:
        try:
            return self._read(await anext(self._iterator))
        except StopAsyncIteration:
            self.routing = routing(await self._replies.trailing_metadata())
            raise
        except grpc.aio.AioRpcError as error:
            raise errors.from_rpc(error) from None
        except asyncio.CancelledError:
            if self._closed and not _cancelled():
                raise errors.Cancelled("the stream was closed", code=errors.Code.CANCELLED) from None
            self.close()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancels the call unless it is over.  Whoever waits for the next reply gets `Cancelled`."""
        self._closed = True
        self._replies.cancel()

    async def aclose(self) -> None:
        """`close`, as generators have it."""
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop is gone, and the call with it
            self.close()


def _cancelled() -> bool:
    """Whether the task itself is being cancelled: grpcio raises the same where only the call was."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
