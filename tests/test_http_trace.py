"""The gateway's spans, sent to a real OTLP receiver, and what the router is told of traces."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from tests.fake_mesh import FakeMesh, failing, streaming
from tests.gateway import PATIENCE_S, WAYPOST, Gateway
from tests.otlp import Receiver, receiving
from waypost.config import Telemetry
from waypost.v1 import embed_pb2

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
RECORDED, IGNORED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
VECTOR = embed_pb2.EmbedResponse(dimensions=1, vectors=bytes(4))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Where spans are sent."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def told(mesh: FakeMesh) -> list[dict[str, Any]]:
    """The metadata of each call for vectors that comes to the router."""
    found: list[dict[str, Any]] = []

    def embed(request: object, context: grpc.ServicerContext) -> embed_pb2.EmbedResponse:
        found.append(dict(context.invocation_metadata()))
        return VECTOR

    mesh.answers["Embed"] = embed
    return found


def tracing(mesh: FakeMesh, receiver: Receiver, sample: float) -> Gateway:
    """A gateway that records such a share."""
    return Gateway(mesh.address, telemetry=Telemetry(otlp=receiver.url, sample=sample))


def embed(gateway: Gateway, **headers: str) -> httpx.Response:
    """A request for a vector."""
    return gateway.post("/v1/embeddings", {"input": "a"}, **headers)


def recorded(metadata: dict[str, Any]) -> bool:
    """What the router is told: the flags' lowest bit."""
    return int(metadata["traceparent"][-2:], 16) % 2 == 1


def test_a_request_is_a_span(mesh: FakeMesh, told: list[dict[str, Any]], receiver: Receiver) -> None:
    """Of the gateway, with the words of the semantic conventions."""
    with tracing(mesh, receiver, 1.0) as gateway:
        embed(gateway, x_request_id="r-1", user_agent="test")
        (found,) = receiver.wait()
    assert (found.name, found.span.kind) == ("POST /v1/embeddings", found.span.SPAN_KIND_SERVER)
    assert found.attributes | {"client.address": ""} == {
        "http.request.method": "POST",
        "http.route": "/v1/embeddings",
        "http.response.status_code": 200,
        "url.path": "/v1/embeddings",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "user_agent.original": "test",
        "client.address": "",
        "waypost.request_id": "r-1",
    }
    assert found.resource["service.name"] == "waypost-gateway"
    assert 0 < found.seconds < PATIENCE_S
    assert told[0]["traceparent"].startswith(f"00-{found.trace_id}-{found.span.span_id.hex()}-")
    assert recorded(told[0])


def test_a_trace_of_the_callers_goes_on(mesh: FakeMesh, told: list[dict[str, Any]], receiver: Receiver) -> None:
    """Through the gateway's span to the router, with what others wrote beside it."""
    with tracing(mesh, receiver, 0.0) as gateway:
        embed(gateway, traceparent=RECORDED, tracestate="vendor=1")
        (found,) = receiver.wait()
    assert (found.trace_id, found.span.parent_span_id.hex()) == (TRACE, PARENT)
    assert told[0]["traceparent"] == f"00-{TRACE}-{found.span.span_id.hex()}-01"
    assert told[0]["tracestate"] == "vendor=1"


def test_a_caller_may_say_that_nothing_is_recorded(
    mesh: FakeMesh, told: list[dict[str, Any]], receiver: Receiver
) -> None:
    """And the router is told so."""
    with tracing(mesh, receiver, 1.0) as gateway:
        embed(gateway, traceparent=IGNORED)
        embed(gateway, x_request_id="last")
        (found,) = receiver.wait()
    assert found.attributes["waypost.request_id"] == "last"
    assert told[0]["traceparent"] == IGNORED


def test_a_share_is_recorded(mesh: FakeMesh, told: list[dict[str, Any]], receiver: Receiver) -> None:
    """Of those whose callers say nothing; the router hears what was decided."""
    with tracing(mesh, receiver, 0.5) as gateway:
        for _ in range(64):
            embed(gateway)
    sampled = [each["traceparent"] for each in told if recorded(each)]
    assert 8 < len(sampled) < 56
    assert sorted(each.trace_id for each in receiver.spans) == sorted(each[3:35] for each in sampled)


def test_without_a_receiver_the_callers_context_goes_on_unchanged(told: list[dict[str, Any]], gateway: Gateway) -> None:
    """Nothing is made up, and what is no header of gRPC's is left out."""
    embed(gateway, traceparent=RECORDED, tracestate="vendor=1")
    embed(gateway)
    gateway.client.post("/v1/embeddings", json={"input": "a"}, headers={b"traceparent": b"\xfc"})
    assert [(each.get("traceparent"), each.get("tracestate")) for each in told] == [
        (RECORDED, "vendor=1"),
        (None, None),
        (None, None),
    ]


def test_a_failure_is_one_of_the_span(mesh: FakeMesh, receiver: Receiver) -> None:
    """Where it is the server's; a caller's is not."""
    with tracing(mesh, receiver, 1.0) as gateway:
        mesh.answers["Embed"] = failing(grpc.StatusCode.UNAVAILABLE, "away")
        embed(gateway)
        gateway.post("/v1/embeddings", {"inputs": "a"})
        away, wrong = sorted(receiver.wait(2), key=lambda each: each.span.start_time_unix_nano)
    assert (away.attributes["error.type"], away.span.status.code) == ("503", away.span.status.STATUS_CODE_ERROR)
    assert (wrong.attributes["http.response.status_code"], wrong.span.status.code) == (400, 0)


def test_a_stream_is_a_span_to_its_end(mesh: FakeMesh, receiver: Receiver) -> None:
    """One for all its events."""
    mesh.answers["GenerateStream"] = streaming("a", "b")
    with tracing(mesh, receiver, 1.0) as gateway:
        gateway.events("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]})
        (found,) = receiver.wait()
    assert found.name == "POST /v1/chat/completions"


def test_scrapes_and_probes_are_no_spans(mesh: FakeMesh, told: list[dict[str, Any]], receiver: Receiver) -> None:
    """They would hide the others."""
    with tracing(mesh, receiver, 1.0) as gateway:
        for path in ("/healthz", "/metrics", "/"):
            gateway.get(path)
        embed(gateway)
        assert [each.name for each in receiver.wait()] == ["POST /v1/embeddings"]


def test_what_waits_is_sent_at_the_end(tmp_path: Path, mesh: FakeMesh, receiver: Receiver) -> None:
    """By the process that `waypost up` runs; and a failure of its own is in its log with both ids."""
    mesh.answers["Embed"] = lambda request, context: embed_pb2.EmbedResponse(dimensions=3, vectors=bytes(4))
    file = tmp_path / "waypost.toml"
    file.write_text(
        f'[router]\ninstances = ["127.0.0.1:1"]\n[http]\nlisten = "127.0.0.1:0"\n'
        f'[telemetry]\notlp = "{receiver.url}"\nsample = 1.0\n'
    )
    command = (*WAYPOST, "http", "--config", str(file), "--router", mesh.address, "--json")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout
        url = json.loads(process.stdout.readline())["address"]
        reply = httpx.post(f"{url}/v1/embeddings", json={"input": "a"}, headers={"x-request-id": "r-1"})
        process.terminate()
        _, logged = process.communicate(timeout=PATIENCE_S)
    assert reply.status_code == 500
    (found,) = receiver.spans
    (line,) = [each for each in map(json.loads, logged.splitlines()) if each["event"] == "failed"]
    assert (line["request_id"], line["trace_id"]) == ("r-1", found.trace_id)


def test_a_receiver_that_is_away_costs_its_spans_alone(mesh: FakeMesh, told: list[dict[str, Any]]) -> None:
    """Requests are answered, and the gateway ends in time."""
    with Gateway(mesh.address, telemetry=Telemetry(otlp="http://127.0.0.1:1", sample=1.0)) as gateway:
        assert embed(gateway).status_code == 200
