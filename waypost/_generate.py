"""Protobuf requests of generate from plain Python values: conversations, tools, sampling.

Messages, tools and tool calls may come in OpenAI's form as well, so that a conversation kept for another client can be
sent as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from waypost import _fields as fields
from waypost._requests import Route, route, truncation
from waypost.results import ToolCall
from waypost.v1 import generate_pb2

Messages = str | Sequence[Mapping[str, Any]]
Schema = str | Mapping[str, Any]
Tools = Sequence[Mapping[str, Any]]


class Sampling(TypedDict, total=False):
    """How tokens are drawn; what is left out is the model's default.

    seed: the same seed, prompt and settings give the same answer from the same model on the same machine.
    temperature: 0 takes the likeliest token always.
    top_k, top_p, min_p: only the likeliest tokens: so many, up to this probability together, at least this share of
        the likeliest.
    repeat_penalty: divides the logits of tokens seen lately; 1: off.
    frequency_penalty, presence_penalty: subtracted once per appearance, and once from what appeared at all.
    penalty_tokens: how many of the last tokens the penalties look at.
    logit_bias: added to the logits of tokens by id; -100 forbids a token.
    """

    seed: int
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repeat_penalty: float
    frequency_penalty: float
    presence_penalty: float
    penalty_tokens: int
    logit_bias: Mapping[int, float]


class CountPromptOptions(Route, total=False):
    """Keyword arguments of `count_prompt_tokens`; see `GenerateOptions`."""

    model: str
    raw: bool
    tools: Tools


class GenerateOptions(Sampling, Route, total=False):
    """Keyword arguments of `generate` and `generate_stream`.

    max_tokens: most tokens of the answer; 0 takes the model's default.
    stop: strings that end the answer.
    json_schema: the answer satisfies this schema, given as a dict or as JSON.
    grammar: the answer satisfies this GBNF grammar, from its rule `root`.
    tools: functions the model may ask the caller to run: dicts with name, description and parameters (a JSON schema).
    tool_choice: "auto", "none" or "required".
    adapter: LoRA adapter of the model by name.
    top_logprobs: say the log probability of each token, and of so many of the likeliest beside it.
    truncate: "start" (or True) drops the beginning of a prompt that is too long, of a conversation the oldest turns;
        "end" drops the end of a raw one; False refuses it.
    raw: a `str` prompt goes to the model as it is, without its chat template.
    """

    model: str
    max_tokens: int
    stop: Sequence[str]
    json_schema: Schema | None
    grammar: str
    tools: Tools
    tool_choice: str
    adapter: str
    top_logprobs: int | None
    truncate: bool | str
    raw: bool


class _Rest(Sampling, Route, total=False):
    pass


def generate(
    messages: Messages,
    *,
    model: str = "",
    max_tokens: int = 0,
    stop: Sequence[str] = (),
    json_schema: Schema | None = None,
    grammar: str = "",
    tools: Tools = (),
    tool_choice: str = "",
    adapter: str = "",
    top_logprobs: int | None = None,
    truncate: bool | str = False,
    raw: bool = False,
    **rest: Unpack[_Rest],
) -> generate_pb2.GenerateRequest:
    sampling, hints = _parted({**rest})
    return generate_pb2.GenerateRequest(
        chat=None if raw else _chat(messages),
        raw=fields.text("messages", messages) if raw else None,
        model=fields.text("model", model),
        route=route(**hints),
        sampling=_sampling(**sampling),
        max_tokens=fields.count("max_tokens", max_tokens),
        stop=fields.texts("stop", stop),
        json_schema=fields.as_json("json_schema", json_schema),
        grammar=fields.text("grammar", grammar),
        tools=_tools(tools),
        tool_choice=fields.enum("tool_choice", generate_pb2.ToolChoice, tool_choice),
        adapter=fields.text("adapter", adapter),
        top_logprobs=None if top_logprobs is None else fields.count("top_logprobs", top_logprobs),
        truncation=truncation(truncate, usual="start"),
    )


def generate_stream(messages: Messages, **options: Unpack[GenerateOptions]) -> generate_pb2.GenerateStreamRequest:
    return generate_pb2.GenerateStreamRequest(request=generate(messages, **options))


def count_prompt_tokens(
    messages: Messages, *, model: str = "", raw: bool = False, tools: Tools = (), **hints: Unpack[Route]
) -> generate_pb2.GenerateServiceCountTokensRequest:
    return generate_pb2.GenerateServiceCountTokensRequest(
        chat=None if raw else _chat(messages),
        raw=fields.text("messages", messages) if raw else None,
        model=fields.text("model", model),
        route=route(**hints),
        tools=_tools(tools),
    )


def _parted(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is of the sampling, and the rest."""
    sampling = {name: options.pop(name) for name in Sampling.__annotations__ if name in options}
    return sampling, options


def _sampling(*, logit_bias: Mapping[int, float] | None = None, **values: Any) -> generate_pb2.Sampling:
    given = {name: value for name, value in values.items() if value is not None}
    for name, value in given.items():
        fields.number(f"sampling.{name}", value)
    return fields.built("sampling", generate_pb2.Sampling, given | {"logit_bias": _bias(logit_bias or {})})


def _bias(of: Mapping[int, float]) -> dict[int, float]:
    field = "sampling.logit_bias"
    if not isinstance(of, Mapping):
        raise fields.invalid(field, f"is a {type(of).__name__}, not a dict of numbers by token", type(of).__name__)
    return {fields.count(field, token): fields.number(f"{field}[{token}]", bias) for token, bias in of.items()}


def _chat(messages: Messages) -> generate_pb2.Prompt:
    turns = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    given = fields.many("messages", turns, "dict")
    return generate_pb2.Prompt(messages=[_message(f"messages[{i}]", turn) for i, turn in enumerate(given)])


def _message(field: str, turn: Any) -> generate_pb2.ChatMessage:
    calls = turn.get("tool_calls") or () if isinstance(turn, Mapping) else ()
    needed = {"role"} if calls else {"role", "content"}
    given = fields.table(field, turn, needed, {"content", "tool_calls", "tool_call_id"} - needed)
    content = given.get("content", "")
    return generate_pb2.ChatMessage(
        role=fields.text(f"{field}.role", given["role"]),
        content="" if calls and content is None else fields.text(f"{field}.content", content),
        tool_calls=[_tool_call(f"{field}.tool_calls[{i}]", call) for i, call in enumerate(calls)],
        tool_call_id=fields.text(f"{field}.tool_call_id", given.get("tool_call_id", "")),
    )


def _tool_call(field: str, call: object) -> generate_pb2.ToolCall:
    if isinstance(call, ToolCall):
        call = {"id": call.id, "name": call.name, "arguments": call.arguments_json}
    given = fields.table(field, _unwrapped(call), {"id", "name", "arguments"}, set())
    return generate_pb2.ToolCall(
        id=fields.text(f"{field}.id", given["id"]),
        name=fields.text(f"{field}.name", given["name"]),
        arguments_json=fields.as_json(f"{field}.arguments", given["arguments"]),
    )


def _tools(tools: Tools) -> list[generate_pb2.Tool]:
    return [_tool(f"tools[{i}]", _unwrapped(tool)) for i, tool in enumerate(fields.many("tools", tools, "dict"))]


def _tool(field: str, tool: object) -> generate_pb2.Tool:
    given = fields.table(field, tool, {"name"}, {"description", "parameters"})
    return generate_pb2.Tool(
        name=fields.text(f"{field}.name", given["name"]),
        description=fields.text(f"{field}.description", given.get("description", "")),
        parameters_json=fields.as_json(f"{field}.parameters", given.get("parameters")),
    )


def _unwrapped(value: object) -> object:
    """OpenAI's `{"type": "function", "function": {…}}` as what is inside, with the id beside it."""
    if not (isinstance(value, Mapping) and isinstance(value.get("function"), Mapping)):
        return value
    beside = {key: each for key, each in value.items() if key not in ("type", "function")}
    return beside | dict(value["function"])
