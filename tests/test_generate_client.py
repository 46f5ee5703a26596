"""Generate through the clients: what is sent, what comes back, and how an answer is stopped."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

import waypost
from tests.fake_mesh import FakeMesh, stalling, streaming
from waypost import errors
from waypost.results import ToolCall
from waypost.v1 import common_pb2, generate_pb2

PATIENCE_S = 20.0
WEATHER = {
    "name": "weather",
    "description": "The weather of a place",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
}


@pytest.fixture
def left(mesh: FakeMesh) -> threading.Event:
    """Set when the caller of an answer that stalls after "a" has gone away."""
    gone = threading.Event()
    mesh.answers["GenerateStream"] = stalling(gone, "a")
    return gone


def sent(mesh: FakeMesh, client: Any, messages: Any = "hi", **options: Any) -> generate_pb2.GenerateRequest:
    """The request that a call makes."""
    mesh.answers["Generate"] = lambda request, context: generate_pb2.GenerateResponse()
    client.generate(messages, **options)
    request = mesh.requests.pop()
    assert isinstance(request, generate_pb2.GenerateRequest)
    return request


def test_a_str_is_one_user_message_and_sampling_left_out_is_not_sent(mesh: FakeMesh, client: Any) -> None:
    """A dict schema travels as JSON."""
    request = sent(mesh, client, json_schema={"type": "object"}, temperature=0.0, max_tokens=5)
    assert [(each.role, each.content) for each in request.chat.messages] == [("user", "hi")]
    assert json.loads(request.json_schema) == {"type": "object"}
    assert request.sampling.HasField("temperature") and not request.sampling.HasField("seed")
    assert not request.HasField("top_logprobs")


def test_every_option_has_its_field(mesh: FakeMesh, client: Any) -> None:
    """Sampling, constraints, adapter, truncation, hints."""
    request = sent(
        mesh,
        client,
        "Once",
        raw=True,
        model="smollm2",
        max_tokens=9,
        stop=["END"],
        grammar='root ::= "x"',
        adapter="formal",
        top_logprobs=0,
        truncate="start",
        tenant="shop",
        seed=7,
        top_k=40,
        repeat_penalty=1.5,
        frequency_penalty=-0.5,
        presence_penalty=0.25,
        penalty_tokens=32,
        logit_bias={5: -100, 7: 1.5},
    )
    assert request == generate_pb2.GenerateRequest(
        raw="Once",
        model="smollm2",
        max_tokens=9,
        stop=["END"],
        grammar='root ::= "x"',
        adapter="formal",
        top_logprobs=0,
        truncation=common_pb2.TRUNCATION_START,
        route=common_pb2.RouteHints(tenant="shop"),
        sampling=generate_pb2.Sampling(
            seed=7,
            top_k=40,
            repeat_penalty=1.5,
            frequency_penalty=-0.5,
            presence_penalty=0.25,
            penalty_tokens=32,
            logit_bias={5: -100, 7: 1.5},
        ),
    )


@pytest.mark.parametrize(
    ("truncate", "policy"),
    [
        (False, common_pb2.TRUNCATION_UNSPECIFIED),
        (True, common_pb2.TRUNCATION_START),
        ("end", common_pb2.TRUNCATION_END),
        ("start", common_pb2.TRUNCATION_START),
    ],
)
def test_truncation_is_a_choice_of_the_caller(mesh: FakeMesh, client: Any, truncate: Any, policy: Any) -> None:
    """True drops the oldest turns; without it a prompt that is too long is refused."""
    assert sent(mesh, client, truncate=truncate).truncation == policy


@pytest.mark.parametrize("tool", [WEATHER, {"type": "function", "function": WEATHER}], ids=["plain", "openai"])
def test_tools_come_as_dicts_in_either_form(mesh: FakeMesh, client: Any, tool: Any) -> None:
    """The schema of the arguments travels as JSON."""
    request = sent(mesh, client, tools=[tool, {"name": "now"}], tool_choice="required")
    first, second = request.tools
    assert (first.name, first.description) == ("weather", "The weather of a place")
    assert json.loads(first.parameters_json) == WEATHER["parameters"]
    assert (second.name, second.parameters_json) == ("now", "")
    assert request.tool_choice == generate_pb2.TOOL_CHOICE_REQUIRED


CALLS: list[Any] = [
    ToolCall("c1", "weather", '{"place": "Bern"}'),
    {"id": "c1", "name": "weather", "arguments": {"place": "Bern"}},
    {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"place": "Bern"}'}},
]


@pytest.mark.parametrize("call", CALLS, ids=["result", "plain", "openai"])
def test_a_conversation_keeps_its_tool_calls(mesh: FakeMesh, client: Any, call: Any) -> None:
    """The assistant's call and the tool's answer to it."""
    turns = [
        {"role": "user", "content": "Bern?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "rain", "tool_call_id": "c1"},
    ]
    _, asked, answered = sent(mesh, client, turns).chat.messages
    assert asked.tool_calls == [generate_pb2.ToolCall(id="c1", name="weather", arguments_json='{"place": "Bern"}')]
    assert (asked.content, answered.tool_call_id) == ("", "c1")


def test_the_answer_says_all_there_is(mesh: FakeMesh, client: Any) -> None:
    """Usage, times, log probabilities, price."""
    likely = generate_pb2.TokenLogprob(token=9, text=b"\xc3", logprob=-0.5)
    mesh.answers["Generate"] = lambda request, context: generate_pb2.GenerateResponse(
        text="x",
        finish_reason=generate_pb2.FINISH_REASON_LENGTH,
        usage=generate_pb2.GenerateUsage(prompt_tokens=4, cached_tokens=3, completion_tokens=2, dropped_tokens=1),
        first_token=Duration(nanos=5_000_000),
        per_token=Duration(nanos=2_000_000),
        tokens_per_second=50.0,
        logprobs=[generate_pb2.TokenLogprob(token=8, text=b"x", logprob=-0.25, top=[likely])],
        from_template=True,
        cost_usd=0.5,
    )
    answer = client.generate("hi")
    assert (answer.text, answer.finish_reason, answer.cost_usd, answer.from_template) == ("x", "length", 0.5, True)
    assert answer.usage == waypost.results.GenerateUsage(4, 3, 2, 1)
    assert (answer.first_token, answer.per_token, answer.tokens_per_second) == (0.005, 0.002, 50.0)
    (token,) = answer.logprobs
    assert (token.token, token.text, token.top[0].text) == (8, b"x", b"\xc3")


def test_an_answer_of_tool_calls_can_be_appended_to_its_conversation(mesh: FakeMesh, client: Any) -> None:
    """Arguments are parsed; the message goes back as it came."""
    call = generate_pb2.ToolCall(id="c1", name="weather", arguments_json='{"place": "Bern"}')
    mesh.answers["Generate"] = lambda request, context: generate_pb2.GenerateResponse(
        finish_reason=generate_pb2.FINISH_REASON_TOOL_CALLS, tool_calls=[call]
    )
    answer = client.generate("Bern?", tools=[WEATHER])
    assert answer.finish_reason == "tool_calls"
    assert answer.tool_calls[0].arguments == {"place": "Bern"}
    request = sent(mesh, client, [{"role": "user", "content": "Bern?"}, answer.message])
    assert request.chat.messages[1].tool_calls == [call]


def test_a_stream_ends_with_the_whole_answer(mesh: FakeMesh, client: Any) -> None:
    """Joined from the chunks; only the last has it."""
    mesh.answers["GenerateStream"] = streaming("a", "b")
    chunks = list(client.generate_stream([{"role": "user", "content": "x"}]))
    assert [chunk.text for chunk in chunks] == ["a", "b", ""]
    assert [chunk.final is None for chunk in chunks] == [True, True, False]
    assert (chunks[-1].final.text, chunks[-1].final.finish_reason) == ("ab", "stop")
    assert chunks[-1].final.message == {"role": "assistant", "content": "ab"}


def test_log_probabilities_come_with_their_tokens(mesh: FakeMesh, client: Any) -> None:
    """And all of them with the whole answer."""
    tokens = [generate_pb2.TokenLogprob(token=each, text=b"x", logprob=-1.0) for each in (5, 6)]
    replies = [generate_pb2.GenerateStreamResponse(text="x", logprobs=[token]) for token in tokens]
    replies.append(generate_pb2.GenerateStreamResponse(final=generate_pb2.GenerateResponse()))
    mesh.answers["GenerateStream"] = lambda request, context: iter(replies)
    *chunks, last = client.generate_stream("hi", top_logprobs=0)
    assert [chunk.logprobs[0].token for chunk in chunks] == [5, 6]
    assert [each.token for each in last.final.logprobs] == [5, 6]


def test_tokens_of_a_prompt_are_counted(mesh: FakeMesh, client: Any) -> None:
    """As `generate` would read it, tools included."""
    mesh.answers["CountTokens"] = lambda request, context: generate_pb2.GenerateServiceCountTokensResponse(
        served=common_pb2.ServedBy(model="smollm2"), tokens=12
    )
    counted = client.count_prompt_tokens("hi", model="smollm2", tools=[WEATHER])
    assert (counted.tokens, counted.served.model) == (12, "smollm2")
    assert (mesh.requests[0].chat.messages[0].content, mesh.requests[0].tools[0].name) == ("hi", "weather")
    assert client.count_prompt_tokens("hi", raw=True).tokens == 12
    assert mesh.requests[1].raw == "hi"


def test_a_call_the_server_does_not_answer_is_a_typed_error(client: Any) -> None:
    """UNIMPLEMENTED, unary and streamed."""
    with pytest.raises(errors.NotImplementedByServer):
        client.generate("hi")
    with pytest.raises(errors.NotImplementedByServer):
        list(client.generate_stream("hi"))


BAD_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("messages", {"messages": {"role": "user", "content": "x"}}),
    ("messages[0]", {"messages": ["hi"]}),
    ("messages[0]", {"messages": [{"role": "user"}]}),
    ("messages[0]", {"messages": [{"role": "user", "content": "x", "name": "Ann"}]}),
    ("messages[0].content", {"messages": [{"role": "user", "content": 1}]}),
    ("messages[0].content", {"messages": [{"role": "user", "content": None}]}),
    ("messages[0].tool_calls[0]", {"messages": [{"role": "assistant", "tool_calls": [{"id": "c1"}]}]}),
    ("messages", {"messages": [{"role": "user", "content": "x"}], "raw": True}),
    ("sampling.temperature", {"temperature": float("nan")}),
    ("sampling", {"seed": -1}),
    ("sampling.logit_bias", {"logit_bias": [5]}),
    ("sampling.logit_bias", {"logit_bias": {-1: 1.0}}),
    ("sampling.logit_bias[5]", {"logit_bias": {5: float("inf")}}),
    ("max_tokens", {"max_tokens": -1}),
    ("stop", {"stop": "END"}),
    ("json_schema", {"json_schema": {"const": {1, 2}}}),
    ("tools", {"tools": WEATHER}),
    ("tools[0]", {"tools": [{"description": "x"}]}),
    ("tools[0].name", {"tools": [{"name": 7}]}),
    ("tools[0].parameters", {"tools": [{"name": "x", "parameters": {1, 2}}]}),
    ("tool_choice", {"tool_choice": "always"}),
    ("top_logprobs", {"top_logprobs": True}),
    ("truncate", {"truncate": "middle"}),
]


@pytest.mark.parametrize(("field", "options"), BAD_CALLS, ids=[f"{i}-{row[0]}" for i, row in enumerate(BAD_CALLS)])
def test_bad_values_are_refused_before_anything_is_sent(
    client: Any, mesh: FakeMesh, field: str, options: dict[str, Any]
) -> None:
    """The same error type as the server's, with the path of the field."""
    with pytest.raises(errors.InvalidRequest) as caught:
        client.generate(**{"messages": "hi"} | options)
    assert caught.value.field == field
    assert str(caught.value).startswith(field)
    assert not mesh.requests


def test_unknown_options_are_type_errors(client: Any) -> None:
    """A misspelt keyword is named."""
    with pytest.raises(TypeError, match="temprature"):
        client.generate("hi", temprature=1.0)


def broken_off(stream: Any) -> None:
    for _ in stream:
        break


def closed(stream: Any) -> None:
    next(stream)
    stream.close()


def left_block(stream: Any) -> None:
    with stream:
        next(stream)


@pytest.mark.parametrize("leave", [broken_off, closed, left_block])
def test_leaving_a_stream_cancels_the_call(mesh: FakeMesh, left: threading.Event, leave: Callable[[Any], None]) -> None:
    """By `break`, by `close`, by the end of a `with`."""
    with waypost.Client(mesh.address) as client:
        leave(client.generate_stream("hi"))
        assert left.wait(PATIENCE_S)


def test_another_thread_may_close_a_stream(mesh: FakeMesh, left: threading.Event) -> None:
    """Whoever waits for the next piece gets `Cancelled`."""
    with waypost.Client(mesh.address) as client:
        stream = client.generate_stream("hi")
        assert next(stream).text == "a"
        threading.Thread(target=stream.close).start()
        with pytest.raises(errors.Cancelled):
            next(stream)
        assert left.wait(PATIENCE_S)


async def async_broken_off(stream: Any) -> None:
    async for _ in stream:
        break


async def async_closed(stream: Any) -> None:
    await anext(stream)
    await stream.aclose()


async def async_left_block(stream: Any) -> None:
    async with stream:
        await anext(stream)


async def task_cancelled(stream: Any) -> None:
    await anext(stream)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def async_closed_elsewhere(stream: Any) -> None:
    await anext(stream)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    stream.close()
    with pytest.raises(errors.Cancelled):
        await waiting


ASYNC_WAYS = [async_broken_off, async_closed, async_left_block, task_cancelled, async_closed_elsewhere]


@pytest.mark.parametrize("leave", ASYNC_WAYS)
def test_leaving_an_asynchronous_stream_cancels_the_call_at_once(
    mesh: FakeMesh, left: threading.Event, leave: Callable[[Any], Any]
) -> None:
    """While the client lives: not when the garbage is collected, and not when the loop ends."""

    async def call() -> bool:
        async with waypost.AsyncClient(mesh.address) as client:
            await leave(client.generate_stream("hi"))
            return await asyncio.to_thread(left.wait, PATIENCE_S)

    assert asyncio.run(call())
