"""GenerateService of a worker and through the router, with a backend that is the test itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import grpc
import pytest

from tests.plane import PATIENCE_S, Failure, Node, Plane, Writer, embed, eventually, hints
from waypost.v1 import generate_pb2, generate_pb2_grpc, mesh_pb2

Code = grpc.StatusCode


@pytest.fixture
def writer(plane: Plane) -> Writer:
    return plane.writer()


@pytest.fixture(params=["worker", "router"])
def door(request: pytest.FixtureRequest, plane: Plane, writer: Writer) -> Node:
    """A worker with a writer, asked directly and through a router."""
    worker = plane.worker(writer)
    return worker if request.param == "worker" else plane.router(worker)


def ask(text: str = "Once", **fields: Any) -> generate_pb2.GenerateRequest:
    return generate_pb2.GenerateRequest(raw=text, **fields)


def count(text: str) -> generate_pb2.GenerateServiceCountTokensRequest:
    return generate_pb2.GenerateServiceCountTokensRequest(raw=text)


def stream(node: Node, request: generate_pb2.GenerateRequest, timeout: float = PATIENCE_S) -> Any:
    wrapped = generate_pb2.GenerateStreamRequest(request=request)
    return generate_pb2_grpc.GenerateServiceStub(node.channel).GenerateStream(wrapped, timeout=timeout)


def free(node: Node) -> bool:
    """Whether nothing is inside any more."""
    return bool(eventually(lambda: node.waiting() == 0))


def test_the_answer_comes_whole_with_its_usage_and_times(door: Node, writer: Writer) -> None:
    """The backend gets the request as it was sent; the caller all that the backend says."""
    call = door.start(ask(sampling=generate_pb2.Sampling(seed=7), stop=["x"]))
    job = writer.next()
    got = generate_pb2.GenerateRequest.FromString(job.request)
    assert (job.kind, got.raw, got.sampling.seed, got.stop, got.max_tokens) == ("generate", "Once", 7, ["x"], 16)
    job.begin()
    job.push("upon ")
    job.push("a time")
    job.finish("length", prompt_tokens=3, cached_tokens=1, completion_tokens=2, cost_usd=0.5)
    reply = call.result()
    assert (reply.text, reply.finish_reason) == ("upon a time", generate_pb2.FINISH_REASON_LENGTH)
    usage = reply.usage
    assert (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens) == (3, 1, 2)
    assert (reply.served.model, reply.served.instance, reply.cost_usd) == ("w", "w", 0.5)
    assert reply.tokens_per_second > 0
    assert reply.first_token.ToTimedelta() <= reply.timings.total.ToTimedelta()


def test_pieces_come_as_they_are_written(door: Node, writer: Writer) -> None:
    """Each before the next is written; the last response carries the summary."""
    replies = stream(door, ask())
    job = writer.next()
    for piece in ("upon", " a", " time"):
        job.push(piece)
        assert next(replies).text == piece
    job.finish("stop", completion_tokens=3)
    last = next(replies)
    assert (last.text, last.final.text, last.final.finish_reason) == ("", "", generate_pb2.FINISH_REASON_STOP)
    assert last.final.usage.completion_tokens == 3
    assert next(replies, None) is None


def test_tool_calls_and_a_template_s_mark_are_passed_on(door: Node, writer: Writer) -> None:
    """As the backend gives them."""
    call = door.start(ask())
    writer.next().finish("tool_calls", tool_calls=[("c1", "weather", '{"city": "Oslo"}')], from_template=True)
    reply = call.result()
    assert [(each.id, each.name) for each in reply.tool_calls] == [("c1", "weather")]
    assert json.loads(reply.tool_calls[0].arguments_json) == {"city": "Oslo"}
    assert (reply.finish_reason, reply.from_template) == (generate_pb2.FINISH_REASON_TOOL_CALLS, True)


def test_tokens_are_counted_by_the_backend(door: Node, writer: Writer) -> None:
    """Without an answer being written."""
    call = door.start(count("Once upon a time"))
    job = writer.next()
    assert job.kind == "count"
    job.count(5)
    assert (call.result().tokens, call.result().served.model) == (5, "w")


REFUSALS = {
    "invalid_field": (
        {"field": "json_schema", "actual": "x", "expected": "JSON"},
        (Code.INVALID_ARGUMENT, "INVALID_FIELD", ("json_schema",)),
    ),
    "text_too_long": (
        {"field": "chat", "limit": 64, "actual": 99},
        (Code.INVALID_ARGUMENT, "TEXT_TOO_LONG", ("chat",)),
    ),
    "adapter_not_found": ({"adapter": "a", "known": "b"}, (Code.NOT_FOUND, "ADAPTER_NOT_FOUND", ())),
    "not_capable": ({"why": "no"}, (Code.FAILED_PRECONDITION, "NOT_CAPABLE", ())),
    "rate_limited": ({"retry_after_s": 7.0}, (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED", ())),
    "provider_failed": ({"why": "down", "retry_after_s": 2.0}, (Code.UNAVAILABLE, "PROVIDER_FAILED", ())),
    "model_failed": ({"why": "broke"}, (Code.INTERNAL, "MODEL_FAILED", ())),
    "deadline": ({}, (Code.DEADLINE_EXCEEDED, "DEADLINE", ())),
}


@pytest.mark.parametrize("kind", REFUSALS)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_refusal_is_a_status_with_its_reason(plane: Plane, writer: Writer, kind: str, streamed: bool) -> None:
    """Every kind that backends know, on both rpcs."""
    fields, (code, reason, named) = REFUSALS[kind]
    worker = plane.worker(writer)
    call = stream(worker, ask()) if streamed else worker.start(ask())
    writer.next().fail(json.dumps({"kind": kind, **fields}))
    with pytest.raises(grpc.RpcError) as failed:
        next(call) if streamed else call.result()
    failure = Failure.of(failed.value)
    assert (failure.code, failure.reason, failure.fields) == (code, reason, named)
    assert failure.retry_after_s == fields.get("retry_after_s")


def test_what_was_said_before_a_failure_is_heard_before_it(door: Node, writer: Writer) -> None:
    """A stream that breaks off ends with a status."""
    replies = stream(door, ask())
    job = writer.next()
    job.push("upon")
    assert next(replies).text == "upon"
    job.fail('{"kind": "model_failed", "why": "broke"}')
    with pytest.raises(grpc.RpcError) as failed:
        next(replies)
    assert Failure.of(failed.value).reason == "MODEL_FAILED"


def test_a_job_that_is_dropped_fails_its_call(door: Node, writer: Writer) -> None:
    """Nobody waits for ever."""
    call = door.start(ask())
    del_ = writer.next()
    del del_
    with pytest.raises(grpc.RpcError) as failed:
        call.result()
    assert Failure.of(failed.value).reason == "MODEL_FAILED"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_caller_who_leaves_is_told_to_the_backend(door: Node, writer: Writer, streamed: bool) -> None:
    """At once; the room is free when the backend has let go of the job."""
    call = stream(door, ask()) if streamed else door.start(ask())
    job = writer.next()
    left = threading.Event()
    job.on_cancel(left.set)
    assert not job.cancelled
    call.cancel()
    assert left.wait(PATIENCE_S)
    assert job.cancelled
    del job
    assert free(door)


def test_a_deadline_ends_the_call_and_the_job(door: Node, writer: Writer) -> None:
    """While the backend has said nothing."""
    call = door.start(ask(), timeout=0.2)
    job = writer.next()
    left = threading.Event()
    job.on_cancel(left.set)
    with pytest.raises(grpc.RpcError) as failed:
        call.result()
    assert failed.value.code() is Code.DEADLINE_EXCEEDED
    assert left.wait(PATIENCE_S)


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(plane: Plane, writer: Writer) -> None:
    """One slot, one place to wait."""
    worker = plane.worker(writer)
    inside = [worker.start(ask()) for _ in range(2)]
    eventually(lambda: worker.waiting() == 2)
    refused = worker.failure(ask())
    assert (refused.code, refused.reason) == (Code.RESOURCE_EXHAUSTED, "QUEUE_FULL")
    assert refused.retry_after_s and refused.retry_after_s > 0
    for _ in inside:
        writer.next().finish("stop")
    assert [call.result().finish_reason for call in inside] == [generate_pb2.FINISH_REASON_STOP] * 2
    assert free(worker)


def test_who_left_the_queue_makes_room_for_the_next(plane: Plane, writer: Writer) -> None:
    """Though the backend has not come to it yet."""
    worker = plane.worker(writer)
    inside = [worker.start(ask("stays")), worker.start(ask("left"))]
    eventually(lambda: worker.waiting() == 2)
    assert worker.failure(ask()).reason == "QUEUE_FULL"
    inside[1].cancel()
    let_in = eventually(lambda: [call for call in [worker.start(ask("next"))] if not _refused(call)])
    writer.next().finish("stop")
    writer.next().finish("stop")
    assert [call.result().finish_reason for call in (inside[0], *let_in)] == [generate_pb2.FINISH_REASON_STOP] * 2


def _refused(call: Any) -> bool:
    """Whether a call was turned away at the door, which happens at once; one that is let in stays open."""
    with suppress(grpc.FutureTimeoutError):
        return call.exception(timeout=1.0) is not None
    return False


def test_a_call_that_left_the_queue_is_not_handed_out(plane: Plane, writer: Writer) -> None:
    """The backend never sees it."""
    worker = plane.worker(writer)
    left = worker.start(ask("left"))
    eventually(lambda: worker.waiting() == 1)
    left.cancel()
    eventually(lambda: worker.call(mesh_pb2.ListInstancesRequest()).instances[0].in_flight == 0)
    stays = worker.start(ask("stays"))
    job = writer.next()
    assert generate_pb2.GenerateRequest.FromString(job.request).raw == "stays"
    job.finish("stop")
    assert stays.result().finish_reason == generate_pb2.FINISH_REASON_STOP


def messages(*roles: str) -> generate_pb2.Prompt:
    return generate_pb2.Prompt(messages=[generate_pb2.ChatMessage(role=role, content="x") for role in roles])


BAD = {
    "input": generate_pb2.GenerateRequest(),
    "raw": generate_pb2.GenerateRequest(raw=""),
    "chat.messages": generate_pb2.GenerateRequest(chat=messages()),
    "chat.messages[1].role": generate_pb2.GenerateRequest(chat=messages("user", "robot")),
    "stop": ask(stop=["x"] * 10_000),
    "stop[0]": ask(stop=["x" * 300]),
    "sampling.temperature": ask(sampling=generate_pb2.Sampling(temperature=float("nan"))),
    "sampling.top_p": ask(sampling=generate_pb2.Sampling(top_p=0.0)),
    "sampling.logit_bias[3]": ask(sampling=generate_pb2.Sampling(logit_bias={3: 1000.0})),
    "grammar": ask(json_schema="{}", grammar='root ::= "a"'),
    "tool_choice": ask(tool_choice=generate_pb2.TOOL_CHOICE_REQUIRED),
    "tools[0].name": ask(tools=[generate_pb2.Tool(name="not a name")]),
    "top_logprobs": ask(top_logprobs=21),
    "truncation": ask(truncation=9),
    "route.tenant": ask(route=hints(tenant="t" * 65)),
    "route.priority": ask(route=hints(priority=9)),
}


@pytest.mark.parametrize("field", BAD)
def test_a_bad_field_is_named_before_the_backend_sees_it(door: Node, field: str) -> None:
    """With what it must be."""
    failure = door.failure(BAD[field])
    assert (failure.code, failure.fields) == (Code.INVALID_ARGUMENT, (field,))
    assert free(door)


def test_a_model_that_reads_does_not_write_and_the_other_way_round(plane: Plane, writer: Writer) -> None:
    """NOT_CAPABLE; a name nobody has is NOT_FOUND."""
    worker = plane.worker(writer, plane.hash_model())
    assert worker.failure(ask(model="hash")).reason == "NOT_CAPABLE"
    assert worker.failure(embed("text", model="w")).reason == "NOT_CAPABLE"
    assert worker.failure(ask(model="nobody")).reason == "MODEL_NOT_FOUND"


def test_the_registry_knows_what_it_writes(door: Node) -> None:
    """Task, context, and the room inside."""
    assert door.health("waypost.v1.GenerateService") == door.health("models/w") == "SERVING"


def test_a_router_takes_a_template_s_answer_only_while_no_model_is_there(plane: Plane) -> None:
    """By its low quality."""
    model, template = plane.writer("model", quality=0.6), plane.writer("template", quality=0.1)
    workers = [plane.worker(model, name="a"), plane.worker(template, name="b")]
    router = plane.router(*workers)
    call = router.start(ask())
    model.next().finish("stop")
    assert call.result().served.model == "model"
    workers[0].close()
    eventually(lambda: router.instance("a").get("state") != "ready")
    call = router.start(ask())
    template.next().finish("stop", from_template=True)
    assert call.result().from_template


def test_a_reader_who_is_slow_gets_it_all_and_holds_up_nobody(plane: Plane, writer: Writer) -> None:
    """What was not read in time comes in one piece."""
    worker = plane.worker(writer)
    replies = stream(worker, ask())
    job = writer.next()
    for number in range(10_000):
        job.push(f"{number} ")
    job.finish("stop", completion_tokens=10_000)
    assert "".join(reply.text for reply in replies) == "".join(f"{number} " for number in range(10_000))


def everything(replies: Iterator[generate_pb2.GenerateStreamResponse]) -> str:
    return "".join(reply.text for reply in replies)


def test_a_drain_lets_answers_end(plane: Plane, writer: Writer) -> None:
    """Health flips, and what is being written is written to its end."""
    worker = plane.worker(writer)
    replies = stream(worker, ask())
    job = writer.next()
    job.push("so ")
    assert next(replies).text == "so "
    drained = worker.drain(PATIENCE_S)
    job.push("far")
    job.finish("stop")
    assert everything(replies) == "far"
    assert drained.result(PATIENCE_S)
