"""Callers that read written answers as they come: each asks, reads to the end, and asks again."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc.aio

from waypost._calls import channel_options
from waypost.v1 import generate_pb2

TIMEOUT_S = 300.0


@dataclass
class Answer:
    """Seconds to its first piece, None where it failed, and to its end; tokens as the model counts them."""

    first_s: float | None = None
    whole_s: float = 0.0
    tokens: int = 0


async def answers(
    address: str, path: str, payloads: Sequence[bytes], clients: int, seconds: float, key: str | None
) -> list[Answer]:
    """All answers to calls that were begun within `seconds`; those under way then are read to their end."""
    metadata = (("authorization", f"Bearer {key}"),) if key else ()
    until, found = time.perf_counter() + seconds, list[Answer]()
    turns = itertools.cycle(payloads)
    async with grpc.aio.insecure_channel(address, channel_options(address)) as channel:
        stub: Any = channel.unary_stream(path)

        async def client() -> None:
            while time.perf_counter() < until:
                found.append(await _answer(stub(next(turns), timeout=TIMEOUT_S, metadata=metadata)))

        async with asyncio.TaskGroup() as tasks:
            for _ in range(clients):
                tasks.create_task(client())
    return found


async def _answer(call: Any) -> Answer:
    """Read to its end; only the last piece is looked into, as that costs the time that is measured."""
    began, last = time.perf_counter(), b""
    first: float | None = None
    try:
        async for piece in call:
            last = piece
            first = first or time.perf_counter() - began
    except grpc.aio.AioRpcError:
        return Answer(whole_s=time.perf_counter() - began)
    final = generate_pb2.GenerateStreamResponse.FromString(last).final
    return Answer(first, time.perf_counter() - began, final.usage.completion_tokens)
