"""The Open Inference Protocol by Triton's own client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from tritonclient.grpc import aio

from tests.plane import Node, Plane, hashed
from tests.triton import CHANNEL, tensor


def test_calls_and_streams_are_answered(plane: Plane) -> None:
    """As to the other client."""
    router = plane.router(plane.worker(plane.hash_model()))
    unary, streamed = asyncio.run(asked(router))
    for each in (unary, streamed):
        assert np.array_equal(each.as_numpy("embedding"), hashed("one"))


async def asked(router: Node) -> tuple[Any, Any]:
    async with aio.InferenceServerClient(router.address, channel_args=CHANNEL) as client:
        unary = await client.infer("hash", [tensor("text", "one")])
        async for result, error in client.stream_infer(requests()):
            assert error is None
            return unary, result
    raise AssertionError("the stream was empty")


async def requests() -> AsyncIterator[dict[str, Any]]:
    yield {"model_name": "hash", "inputs": [tensor("text", "one")], "request_id": "r1"}
