"""The asyncio client with blocking calls, so that one test runs against both clients."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import waypost


class Blocking:
    """What it does not define itself is the client's, awaited."""

    def __init__(self, address: str, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = self._runner.run(_made(address, options))

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            result = getattr(self._client, name)(*args, **options)
            return self._runner.run(_awaited(result)) if isinstance(result, Awaitable) else self._pulled(result)

        return call

    def _pulled(self, stream: Any) -> Iterator[Any]:
        yield from self._runner.run(_all(stream))


async def _made(address: str, options: dict[str, Any]) -> waypost.AsyncClient:
    return waypost.AsyncClient(address, **options)


async def _awaited(call: Awaitable[Any]) -> Any:
    return await call


async def _all(stream: Any) -> list[Any]:
    return [each async for each in stream]
