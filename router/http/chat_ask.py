"""OpenAI's chat request: what it is made of, and the contract's request for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from router.http.exchange import Exchange
from router.http.failure import invalid
from router.http.hints import route
from router.http.sampling import Writing, check_stream_options, common
from router.http.shape import Ask
from waypost.v1 import generate_pb2

NAMES = {
    "chat.messages": "messages",
    "chat": "messages",
    "sampling.repeat_penalty": "repetition_penalty",
    "sampling.penalty_tokens": "penalty_tokens",
    "sampling.temperature": "temperature",
    "sampling.top_p": "top_p",
    "sampling.min_p": "min_p",
    "sampling.frequency_penalty": "frequency_penalty",
    "sampling.presence_penalty": "presence_penalty",
    "sampling.logit_bias": "logit_bias",
    "json_schema": "response_format.json_schema.schema",
    "grammar": "waypost.grammar",
    "adapter": "waypost.adapter",
    "truncation": "waypost.truncation",
    "route": "waypost",
}
"""The contract's fields as the request calls them."""

FunctionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Schema = dict[str, Any]


class TextPart(Ask):
    """A piece of a message; other kinds than text are not read."""

    type: Literal["text"]
    text: str


class FunctionCall(Ask):
    """What a model asked to be run."""

    name: str
    arguments: str
    """JSON."""


class Called(Ask):
    """A call that an assistant's message made."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


Content = str | Annotated[list[TextPart], Field(min_length=1)]


class Said(Ask):
    """What is told the model: by whoever runs it ("system", or "developer", which is the same), or by the user."""

    role: Literal["system", "developer", "user"]
    content: Content
    name: str | None = None
    """Ignored."""


class Answered(Ask):
    """What a model said; it may be sent back as it came."""

    role: Literal["assistant"]
    content: Content | None = None
    """May be absent where there are calls, or a refusal."""
    tool_calls: list[Called] | None = None
    refusal: str | None = None
    """Taken for the content where there is none."""
    name: str | None = None
    """Ignored, as the field below is."""
    annotations: list[Any] | None = None
    audio: None = None
    function_call: None = None


class Returned(Ask):
    """What a tool gave back."""

    role: Literal["tool"]
    content: Content
    tool_call_id: str
    """The call it answers."""
    name: str | None = None
    """Ignored."""


Message = Annotated[Said | Answered | Returned, Field(discriminator="role")]
"""A turn of the conversation."""


class Function(Ask):
    """A function that the model may ask to be run."""

    name: FunctionName
    description: str | None = None
    parameters: Schema | None = None
    """JSON schema of its arguments, an object; absent: none."""
    strict: bool | None = None
    """Ignored: arguments satisfy the schema always."""


class Tool(Ask):
    """A function, as tools are."""

    type: Literal["function"]
    function: Function


class NamedFunction(Ask):
    """A function by name."""

    name: str


class NamedTool(Ask):
    """The tool that must be called."""

    type: Literal["function"]
    function: NamedFunction


class NamedSchema(Ask):
    """The schema an answer must satisfy."""

    name: str
    description: str | None = None
    schema_: Annotated[Schema, Field(alias="schema")]
    strict: bool | None = None
    """Ignored: the answer satisfies the schema always."""


class ResponseFormat(Ask):
    """What kind of text the answer is."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None


class ChatRequest(Writing):
    """OpenAI's request for an answer in a conversation."""

    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    """Counts before `max_tokens`."""
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    """False: of several calls only the first is passed on."""
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    store: bool | None = None
    """False: nothing of the text is kept, as `waypost.no_store` has it."""
    metadata: dict[str, str] | None = None
    """Ignored, as the fields below are."""
    modalities: list[Literal["text"]] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    reasoning_effort: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    verbosity: str | None = None


def generate(exchange: Exchange, ask: ChatRequest) -> generate_pb2.GenerateRequest:
    """The contract's request.

    Raises:
        Failure: what only the fields together show to be wrong.
    """
    check_stream_options(ask)
    request = common(ask, route(exchange.headers, ask.waypost, ask.store))
    request.chat.messages.extend(_message(each, f"messages[{i}]") for i, each in enumerate(ask.messages))
    request.max_tokens = ask.max_completion_tokens or request.max_tokens
    request.json_schema = _schema(ask.response_format)
    _add_tools(request, ask)
    if ask.top_logprobs is not None and not ask.logprobs:
        raise invalid("top_logprobs", "top_logprobs is allowed only where logprobs is true")
    if ask.logprobs:
        request.top_logprobs = ask.top_logprobs or 0
    return request


def _message(of: Said | Answered | Returned, place: str) -> generate_pb2.ChatMessage:
    if isinstance(of, Answered):
        return _answered(of, place)
    return generate_pb2.ChatMessage(
        role="system" if of.role == "developer" else of.role,
        content=_text(of.content),
        tool_call_id=of.tool_call_id if isinstance(of, Returned) else "",
    )


def _answered(of: Answered, place: str) -> generate_pb2.ChatMessage:
    if of.content is None and of.refusal is None and not of.tool_calls:
        raise invalid(f"{place}.content", f"{place}.content: a message needs content", "missing_required_parameter")
    content = _text(of.content) if of.content is not None else of.refusal
    calls = [_call(each) for each in of.tool_calls or ()]
    return generate_pb2.ChatMessage(role="assistant", content=content, tool_calls=calls)


def _text(content: Content) -> str:
    return content if isinstance(content, str) else "\n".join(part.text for part in content)


def _call(of: Called) -> generate_pb2.ToolCall:
    return generate_pb2.ToolCall(id=of.id, name=of.function.name, arguments_json=of.function.arguments)


CHOICES = {
    "none": generate_pb2.TOOL_CHOICE_NONE,
    "auto": generate_pb2.TOOL_CHOICE_AUTO,
    "required": generate_pb2.TOOL_CHOICE_REQUIRED,
}
OBJECT = '{"type":"object"}'


def _schema(wanted: ResponseFormat | None) -> str:
    if wanted is None or wanted.type == "text":
        return ""
    if wanted.type == "json_object":
        return OBJECT
    if wanted.json_schema is None:
        raise invalid(
            "response_format.json_schema", "response_format.json_schema is missing", "missing_required_parameter"
        )
    return as_json(wanted.json_schema.schema_)


def _add_tools(request: generate_pb2.GenerateRequest, ask: ChatRequest) -> None:
    """A named tool is the only one told, and must be called."""
    tools = [each.function for each in ask.tools or ()]
    choice = ask.tool_choice
    if isinstance(choice, NamedTool):
        tools = [each for each in tools if each.name == choice.function.name]
        if not tools:
            raise invalid("tool_choice", f"tool_choice names {choice.function.name!r}, which is not among the tools")
        choice = "required"
    if choice == "required" and not tools:
        raise invalid("tool_choice", "tool_choice is required, and there are no tools")
    request.tools.extend(_tool(each) for each in tools)
    if tools and choice:
        request.tool_choice = CHOICES[choice]


def _tool(of: Function) -> generate_pb2.Tool:
    parameters = as_json(of.parameters) if of.parameters is not None else ""
    return generate_pb2.Tool(name=of.name, description=of.description, parameters_json=parameters)


def as_json(value: Mapping[str, Any]) -> str:
    """A schema as text; numbers of any size."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
