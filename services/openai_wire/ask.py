"""A generate request as the body that an OpenAI-compatible endpoint takes.

What the format has no field for is either sent under the names that vLLM, SGLang and llama-server gave it (`top_k`,
`min_p`, `repeat_penalty`), or refused: nothing is left out in silence.  OpenAI itself answers an unknown field with an
error, which reaches the caller; some other servers ignore one, as their documentation says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.openai_wire import messages
from services.refusal import AdapterNotFound, InvalidField, NotCapable
from services.schemas import Schema
from services.tools import Toolbox
from waypost.v1 import common_pb2, generate_pb2
from waypost.v1.generate_pb2 import GenerateRequest

Body = dict[str, Any]

CHAT = "/chat/completions"
RAW = "/completions"
SEEDS = 2**63
"""Providers read a seed as a signed 64-bit number."""
CHOICES = {generate_pb2.TOOL_CHOICE_NONE: "none", generate_pb2.TOOL_CHOICE_REQUIRED: "required"}


@dataclass(frozen=True)
class Ask:
    """What to send where, and what the answer must satisfy."""

    path: str
    body: Body
    tools: Toolbox
    must_call: bool
    schema: Schema | None


def ask(request: GenerateRequest, model: str, max_tokens: int) -> Ask:
    """The request for `model`, as it is called at the endpoint; `max_tokens` where the request says none.

    Raises:
        services.refusal.Refused: it asks for what the format cannot say, or its schemas are none.
    """
    _refuse_what_has_no_field(request)
    tools = Toolbox.of(request.tools)
    schema = Schema.parsed(request.json_schema, "json_schema") if request.json_schema else None
    raw = request.WhichOneof("input") == "raw"
    body = (_raw if raw else _chat)(request, schema)
    body |= {"model": model, "max_tokens": request.max_tokens or max_tokens, **_sampling(request)}
    must_call = request.tool_choice == generate_pb2.TOOL_CHOICE_REQUIRED
    return Ask(RAW if raw else CHAT, body, tools, must_call, schema)


def _chat(request: GenerateRequest, schema: Schema | None) -> Body:
    body: Body = {"messages": [messages.message(each) for each in request.chat.messages]}
    if request.tools:
        body["tools"] = [messages.tool(each) for each in request.tools]
        body["tool_choice"] = CHOICES.get(request.tool_choice, "auto")
    if schema:
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


def _short(value: float) -> float:
    """As it was written: 0.7 has become 0.699999988 on its way through the contract's 32 bits."""
    return round(value, 6)


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


def _refuse_what_has_no_field(request: GenerateRequest) -> None:
    if request.adapter:
        raise AdapterNotFound(request.adapter, "none")
    if request.tool_choice == generate_pb2.TOOL_CHOICE_REQUIRED and not request.tools:
        raise InvalidField("tool_choice", "TOOL_CHOICE_REQUIRED", "something else where there are no tools")
    for asked_for, what in CANNOT:
        if asked_for(request):
            raise NotCapable(f"it takes no {what}")


CANNOT: tuple[tuple[Callable[[GenerateRequest], bool], str], ...] = (
    (lambda request: bool(request.grammar), "grammar: use json_schema"),
    (lambda request: request.HasField("top_logprobs"), "top_logprobs"),
    (lambda request: request.sampling.HasField("penalty_tokens"), "sampling.penalty_tokens"),
    (lambda request: request.truncation != common_pb2.TRUNCATION_UNSPECIFIED, "truncation: shorten the prompt"),
)
"""What no provider has a common field for."""
