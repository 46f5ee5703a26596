"""What replies tell of their way through the mesh: the trailers, as `Routing`."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

import waypost
from tests.fake_mesh import FakeMesh, streaming, trailing
from waypost.results import Routing
from waypost.v1 import embed_pb2, generate_pb2

SAID = {
    "waypost-request-id": "7f3c",
    "waypost-served-model": "large",
    "waypost-instance": "writer-0",
    "waypost-reason": "complex/expected_completion",
    "waypost-attempts": "3",
    "waypost-hops": "small large",
    "waypost-tier": "high",
    "waypost-cost-usd": "0.000125000",
    "waypost-budget-remaining-usd": "12.5",
    "waypost-cache": "miss",
    "waypost-guard": "jailbreak 0.97",
    "waypost-quality": "0.812",
    "waypost-waited": "1.250",
}
READ = Routing(
    request_id="7f3c",
    model="large",
    instance="writer-0",
    reason="complex/expected_completion",
    attempts=3,
    hops=("small", "large"),
    tier="high",
    cost_usd=0.000125,
    budget_remaining_usd=12.5,
    cache="miss",
    guard="jailbreak 0.97",
    quality=0.812,
    waited=1.25,
)


def embedded(request: Any, context: Any) -> embed_pb2.EmbedResponse:
    return embed_pb2.EmbedResponse(dimensions=1, vectors=bytes(4))


def test_a_reply_says_how_it_was_routed(mesh: FakeMesh, client: Any) -> None:
    """Numbers as numbers."""
    mesh.answers["Embed"] = trailing(SAID, embedded)
    assert client.embed(["a"]).routing == READ


def test_an_answer_says_it_too(mesh: FakeMesh, client: Any) -> None:
    """Where it came whole."""
    mesh.answers["Generate"] = trailing(SAID, lambda request, context: generate_pb2.GenerateResponse(text="hi"))
    answer = client.generate("x")
    assert (answer.text, answer.routing) == ("hi", READ)


def test_trailers_that_are_missing_or_garbled_do_not_cost_the_answer(mesh: FakeMesh, client: Any) -> None:
    """A worker sends none; a proxy may send anything."""
    mesh.answers["Embed"] = embedded
    assert client.embed(["a"]).routing == Routing()
    mesh.answers["Embed"] = trailing({"waypost-cost-usd": "cheap", "waypost-attempts": "some"}, embedded)
    assert client.embed(["a"]).routing == Routing()


def test_a_failure_says_it_too(mesh: FakeMesh, client: Any) -> None:
    """Its request id is what one asks the operator about."""

    def answer(request: Any, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata((("waypost-request-id", "7f3c"), ("waypost-attempts", "2")))
        context.abort(grpc.StatusCode.INTERNAL, "broken")

    mesh.answers["Embed"] = answer
    with pytest.raises(waypost.ServerError) as caught:
        client.embed(["a"])
    assert caught.value.routing == Routing(request_id="7f3c", attempts=2)


def test_a_stream_says_it_at_its_end(mesh: FakeMesh) -> None:
    """Not before: the price of an answer is not known while it is written."""
    mesh.answers["GenerateStream"] = trailing(SAID, streaming("a", "b"))
    with waypost.Client(mesh.address) as client, client.generate_stream("x") as chunks:
        next(chunks)
        assert chunks.routing == Routing()
        assert "".join(chunk.text for chunk in chunks) == "b"
        assert chunks.routing == READ


def test_an_asynchronous_stream_says_it_at_its_end(mesh: FakeMesh) -> None:
    """As the other."""
    mesh.answers["GenerateStream"] = trailing(SAID, streaming("a", "b"))

    async def call() -> Routing:
        async with waypost.AsyncClient(mesh.address) as client, client.generate_stream("x") as chunks:
            assert [chunk.text async for chunk in chunks] == ["a", "b", ""]
            return chunks.routing

    assert asyncio.run(call()) == READ
