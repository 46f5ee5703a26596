"""POST /v1/chat/completions against a fake mesh, by OpenAI's own client."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import grpc
import openai
import pytest
from google.rpc.error_details_pb2 import ErrorInfo

from tests.fake_mesh import FakeMesh, failing, stalling, streaming
from tests.gateway import PATIENCE_S, Gateway
from waypost.v1 import common_pb2, generate_pb2

PATH = "/v1/chat/completions"
SERVED = common_pb2.ServedBy(model="smollm2", version="v1", instance="w-0")
USAGE = generate_pb2.GenerateUsage(prompt_tokens=7, cached_tokens=4, completion_tokens=2)
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
HI: Any = [{"role": "user", "content": "hi"}]


def tool(name: str) -> Any:
    """A tool of OpenAI's form."""
    return {"type": "function", "function": {"name": name, "description": "d", "parameters": WEATHER}}


def said(**fields: Any) -> generate_pb2.GenerateResponse:
    """An answer of the mesh."""
    finish = {"finish_reason": generate_pb2.FINISH_REASON_STOP}
    return generate_pb2.GenerateResponse(**finish | {"served": SERVED, "usage": USAGE, "text": "hello"} | fields)


def called(city: str) -> generate_pb2.ToolCall:
    """A call of the model's."""
    return generate_pb2.ToolCall(id=f"id-{city}", name="weather", arguments_json=f'{{"city":"{city}"}}')


@pytest.fixture
def ask(mesh: FakeMesh, gateway: Gateway) -> Any:
    """Sends a chat request; returns what the mesh was asked."""
    mesh.answers["Generate"] = lambda request, context: said()
    client = gateway.openai()

    def send(**options: Any) -> generate_pb2.GenerateRequest:
        client.chat.completions.create(**{"model": "smollm2", "messages": HI} | options)
        request: generate_pb2.GenerateRequest = mesh.requests[-1]
        return request

    return send


def test_an_answer_is_openais(mesh: FakeMesh, gateway: Gateway) -> None:
    """Text, finish reason, usage, and the model that answered."""
    mesh.answers["Generate"] = lambda request, context: said()
    found = gateway.openai().chat.completions.create(model="smollm2", messages=HI)
    assert (found.object, found.model, found.system_fingerprint) == ("chat.completion", "smollm2", "v1")
    (choice,) = found.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", "hello", "stop")
    assert found.usage
    assert (found.usage.prompt_tokens, found.usage.completion_tokens, found.usage.total_tokens) == (7, 2, 9)
    assert found.usage.prompt_tokens_details
    assert found.usage.prompt_tokens_details.cached_tokens == 4


def test_a_conversation_is_passed_on(ask: Any) -> None:
    """Roles, parts of text, calls and their answers, as the client keeps them."""
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    answered = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call], "annotations": []}
    request = ask(
        messages=[
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            answered,
            {"role": "tool", "tool_call_id": "1", "content": "sunny"},
        ]
    )
    assert [(each.role, each.content) for each in request.chat.messages] == [
        ("system", "be brief"),
        ("user", "a\nb"),
        ("assistant", ""),
        ("tool", "sunny"),
    ]
    assert request.chat.messages[2].tool_calls[0].name == "weather"
    assert request.chat.messages[3].tool_call_id == "1"


def test_sampling_is_passed_on(ask: Any) -> None:
    """Under the contract's names."""
    request = ask(
        temperature=0.5,
        top_p=0.9,
        seed=-1,
        max_tokens=5,
        max_completion_tokens=6,
        stop=["x", "y"],
        frequency_penalty=0.25,
        presence_penalty=-0.25,
        logit_bias={"7": -100},
        extra_body={"top_k": 3, "min_p": 0.125, "repetition_penalty": 1.5},
    )
    assert request.sampling == generate_pb2.Sampling(
        seed=2**64 - 1,
        temperature=0.5,
        top_k=3,
        top_p=0.9,
        min_p=0.125,
        repeat_penalty=1.5,
        frequency_penalty=0.25,
        presence_penalty=-0.25,
        logit_bias={7: -100},
    )
    assert (request.max_tokens, list(request.stop)) == (6, ["x", "y"])
    assert list(ask(stop="z").stop) == ["z"]


def test_what_is_not_said_is_the_models_default(ask: Any) -> None:
    """Nothing is sent of it."""
    request = ask()
    chat = generate_pb2.Prompt(messages=[generate_pb2.ChatMessage(role="user", content="hi")])
    assert request == generate_pb2.GenerateRequest(model="smollm2", chat=chat, sampling=generate_pb2.Sampling())


def test_tools_are_passed_on(ask: Any) -> None:
    """With the choice between them; a named one is the only one, and required."""
    request = ask(tools=[tool("weather"), tool("time")])
    assert [each.name for each in request.tools] == ["weather", "time"]
    assert request.tools[0].parameters_json == '{"type":"object","properties":{"city":{"type":"string"}}}'
    assert request.tool_choice == generate_pb2.TOOL_CHOICE_UNSPECIFIED
    assert ask(tools=[tool("time")], tool_choice="none").tool_choice == generate_pb2.TOOL_CHOICE_NONE
    assert ask(tools=[tool("time")], tool_choice="required").tool_choice == generate_pb2.TOOL_CHOICE_REQUIRED
    named = {"type": "function", "function": {"name": "time"}}
    request = ask(tools=[tool("weather"), tool("time")], tool_choice=named)
    assert [each.name for each in request.tools] == ["time"]
    assert request.tool_choice == generate_pb2.TOOL_CHOICE_REQUIRED


def test_calls_come_back(mesh: FakeMesh, gateway: Gateway) -> None:
    """All of them, or the first where only one is wanted."""
    calls = [called("Rome"), called("Oslo")]
    finish = generate_pb2.FINISH_REASON_TOOL_CALLS
    mesh.answers["Generate"] = lambda request, context: said(text="", tool_calls=calls, finish_reason=finish)
    chats = gateway.openai().chat.completions
    (choice,) = chats.create(model="m", messages=HI, tools=[tool("weather")]).choices
    assert (choice.message.content, choice.finish_reason) == (None, "tool_calls")
    assert choice.message.tool_calls
    found = [(each.id, each.function.arguments) for each in choice.message.tool_calls if each.type == "function"]
    assert found == [("id-Rome", '{"city":"Rome"}'), ("id-Oslo", '{"city":"Oslo"}')]
    (choice,) = chats.create(model="m", messages=HI, tools=[tool("weather")], parallel_tool_calls=False).choices
    assert len(choice.message.tool_calls or ()) == 1


def test_response_formats_are_schemas(ask: Any) -> None:
    """Any object, one of a schema, or text."""
    assert ask(response_format={"type": "json_object"}).json_schema == '{"type":"object"}'
    assert ask(response_format={"type": "text"}).json_schema == ""
    named = {"name": "w", "strict": True, "schema": {"type": "object", "required": ["city"]}}
    request = ask(response_format={"type": "json_schema", "json_schema": named})
    assert request.json_schema == '{"type":"object","required":["city"]}'


def test_log_probabilities(mesh: FakeMesh, gateway: Gateway) -> None:
    """Of each token and those beside it, with their bytes."""
    beside = generate_pb2.TokenLogprob(text=b"\xc3", logprob=float("-inf"))
    token = generate_pb2.TokenLogprob(text="é".encode(), logprob=-0.5, top=[beside])
    mesh.answers["Generate"] = lambda request, context: said(logprobs=[token])
    chats = gateway.openai().chat.completions
    (choice,) = chats.create(model="m", messages=HI, logprobs=True, top_logprobs=2).choices
    assert choice.logprobs
    assert choice.logprobs.content
    (first,) = choice.logprobs.content
    assert (first.token, first.logprob, first.bytes) == ("é", -0.5, [0xC3, 0xA9])
    assert [(each.token, each.logprob, each.bytes) for each in first.top_logprobs] == [("\ufffd", -9999.0, [0xC3])]
    assert mesh.requests[0].top_logprobs == 2


def test_hints_are_in_the_body_or_in_headers(ask: Any) -> None:
    """The body counts first; `store: false` is one."""
    headers = {"X-Waypost-Tier": "high", "X-Waypost-Required-Tags": "code, fast", "X-Waypost-No-Cache": "true"}
    hints = {"tier": "premium", "session": "s", "max_cost_usd": 0.5, "priority": "low", "optional_tags": ["x"]}
    request = ask(extra_headers=headers, extra_body={"waypost": hints}, store=False)
    assert request.route == common_pb2.RouteHints(
        tier=common_pb2.TIER_PREMIUM,
        required_tags=["code", "fast"],
        optional_tags=["x"],
        session="s",
        max_cost_usd=0.5,
        priority=common_pb2.PRIORITY_LOW,
        no_cache=True,
        no_store=True,
    )
    assert not ask(store=True).HasField("route")


def test_waypost_has_more_than_openai(ask: Any) -> None:
    """Grammar, adapter, truncation."""
    own = {"grammar": 'root ::= "x"', "adapter": "pirate", "truncation": "start"}
    request = ask(extra_body={"waypost": own})
    assert (request.grammar, request.adapter) == ('root ::= "x"', "pirate")
    assert request.truncation == common_pb2.TRUNCATION_START
    assert not request.HasField("route")


def test_harmless_fields_are_ignored(ask: Any) -> None:
    """Those that OpenAI's clients send and that change nothing of an answer."""
    ask(
        user="u",
        metadata={"a": "b"},
        n=1,
        service_tier="auto",
        safety_identifier="x",
        prompt_cache_key="k",
        reasoning_effort="low",
        modalities=["text"],
    )


BAD: list[tuple[dict[str, Any], str]] = [
    ({"n": 2}, "n"),
    ({"temperature": -1}, "temperature"),
    ({"frobnicate": 1}, "frobnicate"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
    ({"messages": [{"role": "user", "content": [IMAGE]}]}, "messages[0].content[0].type"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tools": [tool("a")], "tool_choice": {"type": "function", "function": {"name": "b"}}}, "tool_choice"),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ({"top_logprobs": 2}, "top_logprobs"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"logit_bias": {"x": 1}}, "logit_bias.x"),
    ({"waypost": {"tier": "huge"}}, "waypost.tier"),
    ({"max_tokens": "5"}, "max_tokens"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "param"), BAD, ids=[param for _, param in BAD])
def test_what_is_wrong_is_named(gateway: Gateway, fields: dict[str, Any], param: str) -> None:
    """As `param`, by a 400 of OpenAI's form."""
    status, error = gateway.refused(PATH, {"model": "m", "messages": HI} | fields)
    assert (status, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert param.rpartition(".")[2] in error["message"]


def test_a_stream_is_openais(mesh: FakeMesh, gateway: Gateway) -> None:
    """The role first, then text, the finish reason, the usage, and the end."""
    mesh.answers["GenerateStream"] = streaming("Hel", "lo", served=SERVED, usage=USAGE)
    body = {"model": "m", "messages": HI, "stream_options": {"include_usage": True}}
    *events, last = gateway.events(PATH, body)
    assert last == "[DONE]"
    assert [each["choices"][0]["delta"] for each in events if each["choices"]] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ]
    reasons = [choice["finish_reason"] for each in events for choice in each["choices"]]
    assert reasons == [None, None, None, "stop"]
    assert [each["usage"] and each["usage"]["total_tokens"] for each in events] == [None, None, None, None, 9]
    assert {each["object"] for each in events} == {"chat.completion.chunk"}
    assert len({each["id"] for each in events}) == 1


def test_openais_client_reads_the_stream(mesh: FakeMesh, gateway: Gateway) -> None:
    """And joins it."""
    mesh.answers["GenerateStream"] = streaming("Hel", "lo")
    with gateway.openai().chat.completions.create(model="m", messages=HI, stream=True) as chunks:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "Hello"


def test_the_last_piece_may_bring_text(mesh: FakeMesh, gateway: Gateway) -> None:
    """Which is sent before the end."""
    final = said(text="")
    mesh.answers["GenerateStream"] = lambda *_: iter([generate_pb2.GenerateStreamResponse(text="all", final=final)])
    choices = [each["choices"][0] for each in gateway.events(PATH, {"messages": HI})[:-1]]
    assert [choice["delta"].get("content") for choice in choices] == ["", "all", None]
    assert choices[-1]["finish_reason"] == "stop"


def test_calls_are_streamed(mesh: FakeMesh, gateway: Gateway) -> None:
    """Numbered, in one event before the end."""
    finish = generate_pb2.FINISH_REASON_TOOL_CALLS
    mesh.answers["GenerateStream"] = streaming(tool_calls=[called("Rome")], finish_reason=finish)
    deltas = [each["choices"][0] for each in gateway.events(PATH, {"messages": HI})[:-1]]
    assert deltas[1]["delta"]["tool_calls"][0]["index"] == 0
    assert deltas[1]["delta"]["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city":"Rome"}'}
    assert deltas[-1]["finish_reason"] == "tool_calls"


def test_a_stream_that_fails_at_once_is_an_ordinary_failure(mesh: FakeMesh, gateway: Gateway) -> None:
    """With its status."""
    reason = ErrorInfo(reason="ERROR_REASON_MODEL_NOT_FOUND", domain="waypost")
    mesh.answers["GenerateStream"] = failing(grpc.StatusCode.NOT_FOUND, "no model 'gpt-9'", reason)
    with pytest.raises(openai.NotFoundError) as caught:
        gateway.openai().chat.completions.create(model="gpt-9", messages=HI, stream=True)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_stream_that_fails_later_ends_with_the_error(mesh: FakeMesh, gateway: Gateway) -> None:
    """As an event, which OpenAI's client raises; there is no `[DONE]`."""

    def breaks(request: object, context: grpc.ServicerContext) -> Any:
        yield generate_pb2.GenerateStreamResponse(text="Hel")
        context.abort(grpc.StatusCode.UNAVAILABLE, "the connection broke")

    mesh.answers["GenerateStream"] = breaks
    events = gateway.events(PATH, {"messages": HI})
    assert events[1]["choices"][0]["delta"] == {"content": "Hel"}
    assert events[-1]["error"]["message"] == "the connection broke"
    chunks = gateway.openai().chat.completions.create(model="m", messages=HI, stream=True)
    with pytest.raises(openai.APIError, match="the connection broke"):
        list(chunks)


def test_who_leaves_a_stream_cancels_the_call(mesh: FakeMesh, gateway: Gateway) -> None:
    """At the router, at once."""
    left = threading.Event()
    mesh.answers["GenerateStream"] = stalling(left, "Once", " upon")
    with gateway.openai().chat.completions.create(model="m", messages=HI, stream=True) as chunks:
        assert next(chunks).choices[0].delta.role == "assistant"
    assert left.wait(PATIENCE_S)


def test_who_does_not_wait_for_the_whole_cancels_the_call(mesh: FakeMesh, gateway: Gateway) -> None:
    """Also before anything is answered."""
    begun, left = threading.Event(), threading.Event()

    def never(request: object, context: grpc.ServicerContext) -> Any:
        context.add_callback(left.set)
        begun.set()
        left.wait()
        return said()

    mesh.answers["Generate"] = never
    host, port = gateway.url.removeprefix("http://").split(":")
    body = json.dumps({"messages": HI})
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port)), PATIENCE_S) as line:
        line.sendall((head + body).encode())
        assert begun.wait(PATIENCE_S)
    assert left.wait(PATIENCE_S)
