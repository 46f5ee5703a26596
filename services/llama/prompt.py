"""A request as the model reads it: tokens, and what its answer must be.

Everything that can be wrong with a request is found here, before it takes a slot.  May be called by several threads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from services.llama import schema, tools
from services.llama.adapters import Adapters
from services.llama.chat import Chat, Message
from services.llama.grammar import Grammars
from services.llama.model import Model, Tokens
from services.refusal import InvalidField, TextTooLong
from services.schemas import shown
from waypost.v1 import generate_pb2
from waypost.v1.common_pb2 import TRUNCATION_END, TRUNCATION_START, TRUNCATION_UNSPECIFIED, Truncation
from waypost.v1.generate_pb2 import (
    TOOL_CHOICE_NONE,
    TOOL_CHOICE_REQUIRED,
    ChatMessage,
    GenerateRequest,
    GenerateServiceCountTokensRequest,
    Tool,
    ToolCall,
)

ROOM = 4
"""A prompt that is cut leaves room for its answer, but at most this part of the context."""


@dataclass(frozen=True)
class Parts:
    """What a model is made of.

    Attributes:
        max_tokens: of an answer whose request sets no limit.
    """

    model: Model
    chat: Chat
    grammars: Grammars
    adapters: Adapters
    max_tokens: int


@dataclass(frozen=True)
class Prompt:
    """A request, read.

    Attributes:
        dropped: tokens that `truncation` took from it.
        gbnf: the grammar of the answer, compiled already.
        gbnf_field: where it came from, for messages.
        adapter: index; -1: none.
        tools: those that the model was told of.
    """

    tokens: Tokens
    dropped: int = 0
    gbnf: str | None = None
    gbnf_field: str = "grammar"
    adapter: int = -1
    tools: tuple[Tool, ...] = ()
    tool_choice: int = 0


def prepare(request: GenerateRequest, of: Parts) -> Prompt:
    """The request as the engine takes it.

    Raises:
        services.refusal.Refused: it cannot be answered.
    """
    adapter = of.adapters.index(request.adapter)
    known = () if request.tool_choice == TOOL_CHOICE_NONE else tuple(request.tools)
    tools.check(known)
    gbnf, field = _constraint(request, known)
    if gbnf:
        of.grammars.check(gbnf, field)
    tokens, dropped = _fitting(request, known, of)
    return Prompt(tokens, dropped, gbnf, field, adapter, known, request.tool_choice)


def count(request: GenerateServiceCountTokensRequest, of: Parts) -> int:
    """Tokens of a prompt, however long it is.

    Raises:
        services.refusal.Refused: it is not one.
    """
    tools.check(request.tools)
    if request.WhichOneof("input") == "raw":
        return len(_raw(request.raw, of))
    return len(_chat(messages(request.chat), request.tools, of))


def messages(chat: generate_pb2.Prompt) -> list[Message]:
    """A conversation as chat templates expect it.

    Raises:
        InvalidField: the arguments of a call are no JSON object.
    """
    found: list[Message] = []
    names: dict[str, str] = {}
    for i, message in enumerate(chat.messages):
        calls = [_call(call, f"chat.messages[{i}].tool_calls[{j}]") for j, call in enumerate(message.tool_calls)]
        names |= {call["id"]: call["function"]["name"] for call in calls}
        found.append(_message(message, calls, names))
    return found


def _message(message: ChatMessage, calls: list[Message], names: dict[str, str]) -> Message:
    said: Message = {"role": message.role, "content": message.content}
    if calls:
        said["tool_calls"] = calls
    if message.role == "tool":
        said |= {"tool_call_id": message.tool_call_id, "name": names.get(message.tool_call_id, "")}
    return said


def _call(call: ToolCall, where: str) -> Message:
    try:
        arguments = json.loads(call.arguments_json or "{}")
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise InvalidField(f"{where}.arguments_json", shown(call.arguments_json), "a JSON object")
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _constraint(request: GenerateRequest, known: Sequence[Tool]) -> tuple[str | None, str]:
    if request.tool_choice == TOOL_CHOICE_REQUIRED:
        _check_required(request)
        return tools.grammar(known), "tools"
    if request.json_schema:
        return schema.gbnf(request.json_schema, "json_schema"), "json_schema"
    return request.grammar or None, "grammar"


def _check_required(request: GenerateRequest) -> None:
    if not request.tools:
        raise InvalidField("tools", "empty", "at least one tool where tool_choice is TOOL_CHOICE_REQUIRED")
    for field in ("json_schema", "grammar"):
        if getattr(request, field):
            raise InvalidField(field, "given", "empty where tool_choice is TOOL_CHOICE_REQUIRED")


def _fitting(request: GenerateRequest, known: Sequence[Tool], of: Parts) -> tuple[Tokens, int]:
    """Tokens that leave room for an answer, and how many were taken away for it."""
    raw = request.WhichOneof("input") == "raw"
    if request.truncation == TRUNCATION_END and not raw:
        raise InvalidField("truncation", "TRUNCATION_END", "TRUNCATION_START or nothing for a conversation")
    said = [] if raw else messages(request.chat)
    tokens = _raw(request.raw, of) if raw else _chat(said, known, of)
    if len(tokens) == 0:
        raise InvalidField("raw" if raw else "chat", "without a token", "a text to go on from")
    if len(tokens) < of.model.context:
        return tokens, 0
    room = of.model.context - min(request.max_tokens or of.max_tokens, of.model.context // ROOM)
    if raw:
        return _cut(tokens, room, request.truncation, of)
    return _fewer_turns(said, len(tokens), room, request.truncation, lambda left: _chat(left, known, of), of)


def _cut(tokens: Tokens, room: int, policy: Truncation, of: Parts) -> tuple[Tokens, int]:
    if policy == TRUNCATION_UNSPECIFIED:
        raise TextTooLong("raw", of.model.context - 1, len(tokens))
    if policy == TRUNCATION_END:
        return tokens[:room], len(tokens) - room
    first = int(of.model.add_bos)
    return np.concatenate([tokens[:first], tokens[first - room :]]), len(tokens) - room


def _fewer_turns(
    said: list[Message], length: int, room: int, policy: Truncation, read: Callable[[list[Message]], Tokens], of: Parts
) -> tuple[Tokens, int]:
    """Without the oldest turns, as few as suffice; a turn begins with a user's message."""
    if policy == TRUNCATION_START:
        turns = [i for i, message in enumerate(said) if message["role"] == "user"][1:]
        low, high = 0, len(turns)
        while low < high:
            middle = (low + high) // 2
            fits = len(read(_from(said, turns[middle]))) <= room
            low, high = (low, middle) if fits else (middle + 1, high)
        last = turns[min(low, len(turns) - 1)] if turns else 0
        tokens = read(_from(said, last))
        if len(tokens) < of.model.context:
            return tokens, length - len(tokens)
        length = len(tokens)
    raise TextTooLong("chat", of.model.context - 1, length)


def _from(said: list[Message], first: int) -> list[Message]:
    return [message for i, message in enumerate(said) if i >= first or message["role"] == "system"]


def _raw(text: str, of: Parts) -> Tokens:
    return of.model.tokenize(text, special=True, bos=True)


def _chat(said: list[Message], known: Sequence[Tool], of: Parts) -> Tokens:
    """A template that writes BOS itself is not given another one."""
    if not of.chat.knows_calls:
        said = _plain(said)
    if not of.chat.knows_tools:
        said, known = _introduced(said, known), ()
    parts = of.chat.render(said, tools.as_template_data(known))
    writes_bos = bool(of.model.bos_text and parts and parts[0][0].startswith(of.model.bos_text))
    pieces = [of.model.tokenize(text, special=special) for text, special in parts]
    begin = of.model.tokenize("", special=False, bos=not writes_bos)
    return np.concatenate([begin, *pieces])


def _plain(said: list[Message]) -> list[Message]:
    """Calls and their results as text, for a template that knows of none."""
    found: list[Message] = []
    for of_tools, group in groupby(said, lambda message: message["role"] == "tool"):
        if of_tools:
            found.append({"role": "user", "content": "\n".join(tools.response(each["content"]) for each in group)})
        else:
            found += map(_plain_message, group)
    return found


def _plain_message(message: Message) -> Message:
    calls = [tools.as_text(**call["function"]) for call in message.get("tool_calls", [])]
    return {"role": message["role"], "content": "\n".join([*filter(None, [message["content"]]), *calls])}


def _introduced(said: list[Message], known: Sequence[Tool]) -> list[Message]:
    if not known:
        return said
    text = tools.introduction(known)
    if said and said[0]["role"] == "system":
        return [said[0] | {"content": f"{said[0]['content']}\n\n{text}"}, *said[1:]]
    return [{"role": "system", "content": text}, *said]
