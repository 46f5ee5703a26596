"""The talk with the router: how processes live, and how much they are wanted.

The router tells a second apart, at once when somebody begins to wait, and in answer to whatever it is told.  When it
is started anew it is told everything again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import grpc
import grpc.aio

from router.life.members import Demand
from waypost._calls import channel_options
from waypost.tls import Tls, credentials
from waypost.v1 import mesh_pb2, mesh_pb2_grpc

RETRY_S = 0.2
"""Seconds between tries to reach the router."""
DESCRIBE_S = 5.0

Heard = Callable[[dict[str, Demand]], None]
"""Gets what is wanted, by address."""


class Conversation:
    """With the router at an address."""

    def __init__(self, router: str, heard: Heard) -> None:
        self._router = router
        self._heard = heard
        self._said = mesh_pb2.SuperviseRequest()
        self._news = asyncio.Event()
        self._open = False

    @property
    def is_open(self) -> bool:
        """Whether the router has answered, and goes on doing so."""
        return self._open

    def say(self, lives: list[mesh_pb2.InstanceLife]) -> None:
        """Tells how all processes live; the router answers."""
        self._said = mesh_pb2.SuperviseRequest(instances=lives)
        self._news.set()

    async def keep(self) -> None:
        """Talks, again and again, until it is cancelled."""
        while True:
            try:
                await self._talk()
            except grpc.aio.AioRpcError:
                pass  # the router is not there yet, or is being started again
            finally:
                self._open = False
            await asyncio.sleep(RETRY_S)

    async def _talk(self) -> None:
        # One of its own: what is left of the last talk would take the news from this one.
        self._news = asyncio.Event()
        async with opened(self._router) as channel:
            async for reply in mesh_pb2_grpc.MeshServiceStub(channel).Supervise(self._words(self._news)):
                self._open = True
                self._heard({each.address: _demand(each) for each in reply.instances})

    async def _words(self, news: asyncio.Event) -> AsyncIterator[mesh_pb2.SuperviseRequest]:
        while True:
            news.clear()
            yield self._said
            await news.wait()


def opened(address: str, tls: Tls | None = None) -> grpc.aio.Channel:
    """A channel to a process of this mesh."""
    secure, options = credentials(address, tls or False), channel_options(address)
    if secure:
        return grpc.aio.secure_channel(address, secure, options)
    return grpc.aio.insecure_channel(address, options)


async def describe(address: str, tls: Tls | None) -> mesh_pb2.DescribeInstanceResponse:
    """What the worker at `address` serves.

    Raises:
        grpc.aio.AioRpcError: it does not say.
    """
    async with opened(address, tls) as channel:
        stub = mesh_pb2_grpc.MeshServiceStub(channel)
        described: mesh_pb2.DescribeInstanceResponse = await stub.DescribeInstance(
            mesh_pb2.DescribeInstanceRequest(), timeout=DESCRIBE_S
        )
        return described


async def ready(router: str) -> set[str]:
    """Addresses of the instances that the router sends calls to.

    Raises:
        grpc.aio.AioRpcError: it does not say.
    """
    async with opened(router) as channel:
        stub = mesh_pb2_grpc.MeshServiceStub(channel)
        told = await stub.ListInstances(mesh_pb2.ListInstancesRequest(), timeout=1.0)
        return {each.address for each in told.instances if each.state == mesh_pb2.INSTANCE_STATE_READY}


def _demand(told: mesh_pb2.InstanceDemand) -> Demand:
    """As told, with times of the clock that nobody sets."""
    ago_s = time.time() - told.last_call.ToMicroseconds() / 1e6
    last = time.monotonic() - max(0.0, ago_s) if told.HasField("last_call") else None
    return Demand(told.waiting, told.in_flight, told.calls, last, told.pinned, told.hot)
