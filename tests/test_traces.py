"""Traces of a whole mesh, sent to a real OTLP receiver: gateway, router and workers tell of the same call."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

import waypost
from tests.gateway import Up
from tests.otlp import Received, Receiver, receiving
from tests.plane import eventually
from waypost.v1 import common_pb2, embed_pb2, embed_pb2_grpc, generate_pb2, generate_pb2_grpc

CALLER = "b7ad6b7169203331"
ROUTER, WORKER, GATEWAY = "waypost-router", "waypost-worker", "waypost-gateway"
GENERATE = "waypost.v1.GenerateService/Generate"
STAGES = ["admission", "choice", "queue", "tokenize", "prefill", "decode"]
"""Of a generate call: where its time goes, in order; a worker may queue it for its reader and again for a slot."""
ANSWER_S = 90.0
"""A model is given so long, on a machine with other work."""

MESH = """
[router]
listen = "127.0.0.1:0"
[router.cache]
enabled = false
[router.decisions]
to = "none"
[router.audit]
to = "none"
[http]
listen = "127.0.0.1:0"
[telemetry]
otlp = "{otlp}"
sample = 0.0

[[workers]]
name = "reader"
[[workers.models]]
name = "minilm"
source = "all-minilm-l6-v2"

[[workers]]
name = "writer"
[[workers.models]]
name = "smollm2"
backend = "llama"
source = "smollm2-135m-instruct"
generate = {{ slots = 2, max_tokens = 128 }}
llama = {{ context = 1024 }}
"""


class Traced:
    """A mesh with a receiver of its spans; every trace has an id of its own."""

    def __init__(self, up: Up, receiver: Receiver) -> None:
        self.receiver = receiver
        self.grpc, self.http = str(up.ready["grpc"]), str(up.ready["http"])
        self.channel = grpc.insecure_channel(self.grpc)
        self._count = 0

    def context(self, flags: str = "01") -> tuple[str, dict[str, str]]:
        """A new trace, and the metadata that tells of it."""
        self._count += 1
        trace = f"{self._count:032x}"
        return trace, {"traceparent": f"00-{trace}-{CALLER}-{flags}", "x-request-id": f"r-{self._count}"}

    def spans(self, trace: str, *services: str) -> list[Received]:
        """Those of a trace, by their beginnings, once each of these services has told of its own span."""

        def found() -> list[Received]:
            spans = [each for each in list(self.receiver.spans) if each.trace_id == trace]
            told = {each.resource["service.name"] for each in spans if each.span.kind == each.span.SPAN_KIND_SERVER}
            return spans if told >= set(services) else []

        return sorted(eventually(found), key=_begin)


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, minilm: Path, smollm2: Path) -> Iterator[Traced]:
    """A mesh of real models, already warm."""
    with receiving() as receiver, Up(tmp_path_factory.mktemp("m"), MESH.format(otlp=receiver.url)) as up:
        traced = Traced(up, receiver)
        generate(traced, {})
        yield traced
        traced.channel.close()


def _begin(each: Received) -> tuple[int, int]:
    return each.span.start_time_unix_nano, -each.span.end_time_unix_nano


def chat(**fields: Any) -> generate_pb2.GenerateRequest:
    """A prompt whose answer has some length."""
    said = generate_pb2.ChatMessage(role="user", content="Tell me a story of a lighthouse.")
    return generate_pb2.GenerateRequest(chat=generate_pb2.Prompt(messages=[said]), max_tokens=24, **fields)


def generate(traced: Traced, metadata: dict[str, str]) -> tuple[generate_pb2.GenerateResponse, float]:
    """An answer, and the seconds that its caller waited for it."""
    stub = generate_pb2_grpc.GenerateServiceStub(traced.channel)
    begun = time.perf_counter()
    reply = stub.Generate(chat(), timeout=ANSWER_S, metadata=tuple(metadata.items()))
    return reply, time.perf_counter() - begun


def leaves(spans: list[Received]) -> list[Received]:
    """Those that have no parts."""
    parents = {each.span.parent_span_id for each in spans}
    return [each for each in spans if each.span.span_id not in parents]


def stages(spans: list[Received]) -> list[str]:
    """What was done, in order."""
    return list(dict.fromkeys(each.name for each in leaves(spans)))


def assert_nested(spans: list[Received]) -> None:
    """Every span but the first is part of another, and within it: the processes share one clock."""
    known = {each.span.span_id: each for each in spans}
    for part in spans[1:]:
        whole = known[part.span.parent_span_id]
        assert whole.span.start_time_unix_nano <= part.span.start_time_unix_nano, (whole.name, part.name)
        assert part.span.end_time_unix_nano <= whole.span.end_time_unix_nano, (whole.name, part.name)


def test_a_generate_call_is_traced_from_admission_to_decode(traced: Traced) -> None:
    """Each stage once, one after another, and together as long as the caller waited, within 5 %."""
    trace, metadata = traced.context()
    reply, waited = generate(traced, metadata)
    spans = traced.spans(trace, ROUTER, WORKER)
    assert stages(spans) == STAGES
    assert_nested(spans)
    (forward,) = [each for each in spans if each.name == "forward"]
    served = [each for each in spans if each.name == GENERATE]
    assert [each.resource["service.name"] for each in served] == [ROUTER, WORKER]
    assert served[0].span.parent_span_id.hex() == CALLER
    assert served[1].span.parent_span_id == forward.span.span_id
    assert {each.attributes["waypost.request_id"] for each in served} == {metadata["x-request-id"]}
    total = sum(each.seconds for each in leaves(spans))
    assert total == pytest.approx(waited, rel=0.05), {each.name: each.seconds for each in spans}
    for key, value in {
        "gen_ai.operation.name": "chat",
        "gen_ai.response.model": "smollm2",
        "gen_ai.usage.input_tokens": reply.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": reply.usage.completion_tokens,
        "gen_ai.response.finish_reasons": [
            generate_pb2.FinishReason.Name(reply.finish_reason).removeprefix("FINISH_REASON_").lower()
        ],
    }.items():
        assert served[0].attributes[key] == value, key


def test_a_stream_is_traced_to_its_last_token(traced: Traced) -> None:
    """As a whole answer is."""
    trace, metadata = traced.context()
    stub = generate_pb2_grpc.GenerateServiceStub(traced.channel)
    begun = time.perf_counter()
    request = generate_pb2.GenerateStreamRequest(request=chat())
    *_, last = stub.GenerateStream(request, timeout=ANSWER_S, metadata=tuple(metadata.items()))
    waited = time.perf_counter() - begun
    spans = traced.spans(trace, ROUTER, WORKER)
    assert stages(spans) == STAGES
    assert sum(each.seconds for each in leaves(spans)) == pytest.approx(waited, rel=0.05)
    assert spans[0].attributes["gen_ai.usage.output_tokens"] == last.final.usage.completion_tokens


def test_an_embedding_is_linked_with_the_batch_it_ran_in(traced: Traced) -> None:
    """And the batch with it, though it is no part of it."""
    trace, metadata = traced.context()
    stub = embed_pb2_grpc.EmbedServiceStub(traced.channel)
    stub.Embed(embed_pb2.EmbedRequest(texts=["a", "b"]), timeout=ANSWER_S, metadata=tuple(metadata.items()))
    spans = traced.spans(trace, ROUTER, WORKER)
    inference = next(each for each in spans if each.name == "inference")
    batch = next(each for each in traced.receiver.wait(name="batch"))
    assert batch.span.span_id in {link.span_id for link in inference.span.links}
    assert inference.span.span_id in {link.span_id for link in batch.span.links}


def test_a_request_over_http_is_one_trace_of_all_three(traced: Traced) -> None:
    """The gateway's span is the root of the router's, which is that of the worker's."""
    trace, headers = traced.context()
    body = {"model": "smollm2", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 8}
    reply = httpx.post(f"{traced.http}/v1/chat/completions", json=body, headers=headers, timeout=ANSWER_S)
    assert reply.status_code == 200
    spans = traced.spans(trace, GATEWAY, ROUTER, WORKER)
    assert spans[0].name == "POST /v1/chat/completions"
    assert stages(spans) == STAGES
    assert_nested(spans)
    with waypost.Client(traced.grpc) as client:
        (decision,) = eventually(lambda: client.decisions(request_id=headers["x-request-id"]))
    router = next(each for each in spans if each.resource["service.name"] == ROUTER)
    assert (decision.line["trace_id"], decision.line["span_id"]) == (trace, router.span.span_id.hex())


def test_a_refused_call_is_traced_as_far_as_it_came(traced: Traced) -> None:
    """Here to the choice of a model."""
    trace, metadata = traced.context()
    stub = embed_pb2_grpc.EmbedServiceStub(traced.channel)
    request = embed_pb2.EmbedRequest(model="nobody", texts=["a"], route=common_pb2.RouteHints())
    with pytest.raises(grpc.RpcError):
        stub.Embed(request, timeout=ANSWER_S, metadata=tuple(metadata.items()))
    spans = traced.spans(trace, ROUTER)
    assert [each.name for each in spans] == ["waypost.v1.EmbedService/Embed", "admission", "choice"]
    assert spans[0].attributes["error.type"] == "NOT_FOUND"


def test_nobody_tells_of_a_call_that_its_caller_does_not_keep(traced: Traced) -> None:
    """Though a later one is told of."""
    ignored, metadata = traced.context("00")
    generate(traced, metadata)
    kept, metadata = traced.context()
    generate(traced, metadata)
    traced.spans(kept, ROUTER, WORKER)
    assert ignored not in {each.trace_id for each in traced.receiver.spans}
