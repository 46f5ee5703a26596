"""The talk with the router: what it is told, what is heard, and what happens when it is started anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from router.life.conversation import Conversation, ready
from router.life.members import Demand
from tests.fake_mesh import FakeMesh
from waypost.v1 import mesh_pb2

PATIENCE_S = 20.0
ADDRESS = "unix:/w-0"
LIFE = mesh_pb2.InstanceLife(address=ADDRESS, state=mesh_pb2.LIFE_STATE_ASLEEP)

Told = list[list[str]]


class Router:
    """Says the same of everything that it is told, and notes what that was."""

    def __init__(self, address: str, **demand: Any) -> None:
        self.told: Told = []
        self._demand = mesh_pb2.InstanceDemand(address=ADDRESS, **demand)
        self.mesh = FakeMesh(address, {"Supervise": self._supervise})

    def _supervise(
        self, requests: Iterator[mesh_pb2.SuperviseRequest], _: grpc.ServicerContext
    ) -> Iterator[mesh_pb2.SuperviseResponse]:
        for request in requests:
            self.told.append([each.address for each in request.instances])
            yield mesh_pb2.SuperviseResponse(instances=[self._demand])


@pytest.fixture
def address(tmp_path: Path) -> str:
    """Of a router."""
    return f"unix:{tmp_path}/r"


def test_what_is_wanted_is_heard_in_answer_to_what_is_told(address: str) -> None:
    """By address; times are of the clock that nobody sets."""
    called = datetime.now(UTC) - timedelta(seconds=50)
    router = Router(address, waiting=3, in_flight=2, calls=7, last_call=called, hot=True)

    async def talk() -> dict[str, Demand]:
        heard: asyncio.Queue[dict[str, Demand]] = asyncio.Queue()
        talks = Conversation(address, heard.put_nowait)
        talks.say([LIFE])
        async with asyncio.timeout(PATIENCE_S):
            keeping = asyncio.create_task(talks.keep())
            found = await heard.get()
            assert talks.is_open
            keeping.cancel()
        return found

    server = router.mesh.serve()
    (demand,) = asyncio.run(talk()).values()
    server.stop(None).wait(PATIENCE_S)
    assert (demand.waiting, demand.in_flight, demand.calls, demand.hot, demand.pinned) == (3, 2, 7, True, False)
    assert demand.last_call == pytest.approx(time.monotonic() - 50, abs=PATIENCE_S)
    assert router.told[0] == [ADDRESS]


def test_a_router_that_is_started_anew_is_told_everything_again(address: str) -> None:
    """Until it is there, nobody knows what is wanted."""
    first, second = Router(address), Router(address)

    async def talk() -> None:
        heard = asyncio.Event()
        talks = Conversation(address, lambda _: heard.set())
        talks.say([LIFE])
        server = first.mesh.serve()
        async with asyncio.timeout(PATIENCE_S):
            keeping = asyncio.create_task(talks.keep())
            await heard.wait()
            server.stop(None)
            while talks.is_open:
                await asyncio.sleep(0.01)
            heard.clear()
            server = second.mesh.serve()
            await heard.wait()
            keeping.cancel()
            server.stop(None)

    asyncio.run(talk())
    assert second.told[0] == [ADDRESS]


def test_those_are_ready_that_the_router_sends_calls_to(address: str) -> None:
    """Others are not, whatever they say themselves."""
    states = {"a": mesh_pb2.INSTANCE_STATE_READY, "b": mesh_pb2.INSTANCE_STATE_ASLEEP}
    listed = [mesh_pb2.InstanceStatus(address=name, state=state) for name, state in states.items()]
    answer = mesh_pb2.ListInstancesResponse(instances=listed)
    server = FakeMesh(address, {"ListInstances": lambda request, context: answer}).serve()
    assert asyncio.run(ready(address)) == {"a"}
    server.stop(None)
