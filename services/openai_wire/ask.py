"""A generate request as the body that an OpenAI-compatible endpoint takes.

What the format has no field for is either sent under the names that vLLM, SGLang and llama-server gave it (`top_k`,
`min_p`, `repeat_penalty`), or refused: nothing is left out in silence.  OpenAI itself answers an unknown field with an
error, which reaches the caller; some other servers ignore one, as their documentation says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from services.openai_wire import messages
from services.refusal import AdapterNotFound, NotCapable
from services.schemas import Schema
from services.tools import Toolbox
from waypost.v1 import generate_pb2
from waypost.v1.generate_pb2 import GenerateRequest

Body = dict[str, Any]

SEEDS = 2**63
"""Providers read a seed as a signed 64-bit number; larger ones begin again at 0."""
CHOICES = {generate_pb2.TOOL_CHOICE_NONE: "none", generate_pb2.TOOL_CHOICE_REQUIRED: "required"}


@dataclass(frozen=True)
class Endpoint:
    """What a request is written for.

    Attributes:
        model: the name there.
        max_tokens: where a request says none.
        schemas: see `waypost.config.Remote`.
        own: fields beyond the format that it takes: its name by ours, see `BEYOND`.
    """

    model: str
    max_tokens: int
    schemas: Literal["strict", "prompt"] = "strict"
    own: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ask:
    """What to send, and what the answer must satisfy; `input` is the field the prompt was in."""

    input: Literal["chat", "raw"]
    body: Body
    tools: Toolbox
    must_call: bool
    schema: Schema | None

    @property
    def path(self) -> str:
        """Where to send it."""
        return "/chat/completions" if self.input == "chat" else "/completions"


def ask(request: GenerateRequest, endpoint: Endpoint) -> Ask:
    """The request for `endpoint`.

    Raises:
        services.refusal.Refused: it asks for what the endpoint cannot be told, or its schemas are none.
    """
    if request.adapter:
        raise AdapterNotFound(request.adapter, "none")
    tools = Toolbox.of(request.tools)
    schema = Schema.parsed(request.json_schema, "json_schema") if request.json_schema else None
    raw = request.WhichOneof("input") == "raw"
    body = _raw(request, schema) if raw else _chat(request, schema, endpoint)
    body |= {"model": endpoint.model, "max_tokens": request.max_tokens or endpoint.max_tokens}
    body |= _sampling(request) | _beyond(request, endpoint.own)
    must_call = request.tool_choice == generate_pb2.TOOL_CHOICE_REQUIRED
    return Ask("raw" if raw else "chat", body, tools, must_call, schema)


def _chat(request: GenerateRequest, schema: Schema | None, endpoint: Endpoint) -> Body:
    body: Body = {"messages": [messages.message(each) for each in request.chat.messages]}
    if request.route.no_store:
        body["store"] = False
    if request.tools:
        body["tools"] = [messages.tool(each) for each in request.tools]
        body["tool_choice"] = CHOICES.get(request.tool_choice, "auto")
    if schema and endpoint.schemas == "prompt":
        body["messages"] = messages.instructed(body["messages"], schema.value)
        body["response_format"] = {"type": "json_object"}
    elif schema:
        named = {"name": "answer", "strict": True, "schema": schema.value}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    return body


def _raw(request: GenerateRequest, schema: Schema | None) -> Body:
    if request.tools or schema:
        raise NotCapable("it takes tools and a JSON schema with chat messages only, not with a raw prompt")
    return {"prompt": request.raw}


def _sampling(request: GenerateRequest) -> Body:
    sampling = request.sampling
    given = {ours: _short(getattr(sampling, ours)) for ours in NAMES if sampling.HasField(ours)}
    body: Body = {theirs: value for ours, value in given.items() for theirs in NAMES[ours]}
    if sampling.HasField("seed"):
        body["seed"] = sampling.seed % SEEDS
    if sampling.logit_bias:
        body["logit_bias"] = {str(token): _short(bias) for token, bias in sampling.logit_bias.items()}
    if request.stop:
        body["stop"] = list(request.stop)
    return body


NAMES = {
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "frequency_penalty": ("frequency_penalty",),
    "presence_penalty": ("presence_penalty",),
    "top_k": ("top_k",),
    "min_p": ("min_p",),
    "repeat_penalty": ("repeat_penalty", "repetition_penalty"),
}
"""The contract's fields, and what they are called at the endpoint: llama-server's name and vLLM's."""


def _short(value: float) -> float:
    """As it was written: 0.7 has become 0.699999988 on its way through the contract's 32 bits."""
    return round(value, 6)


def _beyond(request: GenerateRequest, own: Mapping[str, str]) -> Body:
    given = {name: value for name in BEYOND if (value := _value(request, name)) is not None}
    for name in given.keys() - own.keys():
        raise NotCapable(f"it takes no {name}: {BEYOND[name]}")
    return {own[name]: value for name, value in given.items()}


BEYOND = {
    "grammar": "ask with json_schema",
    "top_logprobs": "ask without",
    "truncation": "shorten the prompt",
    "sampling.penalty_tokens": "ask without",
}
"""What the format has no field for, and what to do without it."""


def _value(request: GenerateRequest, name: str) -> Any:
    """A field's value; None where the request leaves it alone."""
    if name == "sampling.penalty_tokens":
        return request.sampling.penalty_tokens if request.sampling.HasField("penalty_tokens") else None
    if name == "top_logprobs":
        return request.top_logprobs if request.HasField("top_logprobs") else None
    return getattr(request, name) or None
