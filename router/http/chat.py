"""POST /v1/chat/completions: whole, or as server-sent events."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from router.http.chat_ask import ChatRequest, generate
from router.http.exchange import Exchange
from router.http.reply import Events
from router.http.usage import FINISH, FinishReason, Usage, usage
from waypost.v1 import generate_pb2

LEAST = -9999.0
"""What OpenAI says of a token that could not have been."""


class ReplyFunction(TypedDict):
    """A function to run, with its arguments as JSON."""

    name: str
    arguments: str


class ReplyCall(TypedDict):
    """A call that the model makes; `index` is there in streams only."""

    index: NotRequired[int]
    id: str
    type: Literal["function"]
    function: ReplyFunction


class ReplyMessage(TypedDict):
    """The answer."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    tool_calls: NotRequired[list[ReplyCall]]


class AlternativeLogprob(TypedDict):
    """A token that might have been, and the log of its probability."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(AlternativeLogprob):
    """A token, and the likeliest at its place."""

    top_logprobs: list[AlternativeLogprob]


class Logprobs(TypedDict):
    """Of each token."""

    content: list[TokenLogprob]
    refusal: None


class Choice(TypedDict):
    """The one answer there is."""

    index: Literal[0]
    message: ReplyMessage
    logprobs: Logprobs | None
    finish_reason: FinishReason


class ChatReply(TypedDict):
    """OpenAI's whole answer."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[Choice]
    usage: Usage


class Delta(TypedDict, total=False):
    """What has come since the event before."""

    role: Literal["assistant"]
    content: str
    refusal: None
    tool_calls: list[ReplyCall]


class ChunkChoice(TypedDict):
    """The one answer there is, in pieces."""

    index: Literal[0]
    delta: Delta
    logprobs: Logprobs | None
    finish_reason: FinishReason | None


class ChatChunk(TypedDict):
    """An event of a stream; the one before the last has no choices but the usage, where that was asked for."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    system_fingerprint: NotRequired[str]
    choices: list[ChunkChoice]
    usage: NotRequired[Usage | None]


async def chat(exchange: Exchange, ask: ChatRequest) -> ChatReply | Events:
    """The answer in a conversation; with `stream`, server-sent events."""
    request = generate(exchange, ask)
    if ask.stream:
        return await streamed(exchange, request, Chunks(exchange, ask))
    reply = await exchange.call(exchange.upstream.generate, request)
    return _whole(exchange, ask, reply)


def _whole(exchange: Exchange, ask: ChatRequest, reply: generate_pb2.GenerateResponse) -> ChatReply:
    calls = _calls(ask, reply)
    message: ReplyMessage = {"role": "assistant", "content": reply.text or (None if calls else ""), "refusal": None}
    if calls:
        message["tool_calls"] = calls
    finish = FINISH.get(reply.finish_reason, "stop")
    logprobs = _logprobs(reply.logprobs) if ask.logprobs else None
    return {
        "id": f"chatcmpl-{exchange.request_id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": reply.served.model,
        "system_fingerprint": reply.served.version,
        "choices": [{"index": 0, "message": message, "logprobs": logprobs, "finish_reason": finish}],
        "usage": usage(reply.usage),
    }


class Chunks:
    """Events of one answer: the role, the text as it comes, the calls, the end, the usage."""

    def __init__(self, exchange: Exchange, ask: ChatRequest) -> None:
        self._ask = ask
        self._id = f"chatcmpl-{exchange.request_id}"
        self._created = int(time.time())
        self._with_usage = bool(ask.stream_options and ask.stream_options.include_usage)

    def first(self) -> list[ChatChunk]:
        """What is sent before anything of the answer."""
        return [self._chunk({"role": "assistant", "content": "", "refusal": None})]

    def of(self, piece: generate_pb2.GenerateStreamResponse) -> list[ChatChunk]:
        """What is sent for a piece of the answer; the last may bring text as well as the end."""
        return self._written(piece) + (self._last(piece.final) if piece.HasField("final") else [])

    def _written(self, piece: generate_pb2.GenerateStreamResponse) -> list[ChatChunk]:
        if not piece.text and not (self._ask.logprobs and piece.logprobs):
            return []
        return [self._chunk({"content": piece.text}, _logprobs(piece.logprobs) if self._ask.logprobs else None)]

    def _last(self, final: generate_pb2.GenerateResponse) -> list[ChatChunk]:
        calls = _calls(self._ask, final)
        numbered: list[ReplyCall] = [{"index": i, **call} for i, call in enumerate(calls)]
        chunks = [self._chunk({"tool_calls": numbered})] if calls else []
        chunks.append(self._chunk({}, finish=FINISH.get(final.finish_reason, "stop")))
        if self._with_usage:
            chunks.append(self._chunk(None) | {"usage": usage(final.usage)})
        for chunk in chunks:
            chunk |= {"model": final.served.model, "system_fingerprint": final.served.version}
        return chunks

    def _chunk(
        self, delta: Delta | None, logprobs: Logprobs | None = None, finish: FinishReason | None = None
    ) -> ChatChunk:
        choice: ChunkChoice = {"index": 0, "delta": delta or {}, "logprobs": logprobs, "finish_reason": finish}
        chunk: ChatChunk = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._ask.model,
            "choices": [] if delta is None else [choice],
        }
        return chunk | {"usage": None} if self._with_usage else chunk


async def streamed(exchange: Exchange, request: generate_pb2.GenerateRequest, chunks: Any) -> Events:
    """Events of an answer, once its first piece is there: until then a failure is an ordinary one."""
    asked = generate_pb2.GenerateStreamRequest(request=request)
    pieces = exchange.stream(exchange.upstream.generate_stream, asked)
    first = await anext(pieces)
    return Events(_events(first, pieces, chunks))


async def _events(first: Any, pieces: AsyncIterator[Any], chunks: Any) -> AsyncIterator[Any]:
    for event in [*chunks.first(), *chunks.of(first)]:
        yield event
    async for piece in pieces:
        for event in chunks.of(piece):
            yield event


def _calls(ask: ChatRequest, reply: generate_pb2.GenerateResponse) -> list[ReplyCall]:
    """The calls; the first where several at once are not wanted."""
    wanted = reply.tool_calls[:1] if ask.parallel_tool_calls is False else reply.tool_calls
    return [
        {"id": each.id, "type": "function", "function": {"name": each.name, "arguments": each.arguments_json}}
        for each in wanted
    ]


def _logprobs(tokens: Sequence[generate_pb2.TokenLogprob]) -> Logprobs:
    return {
        "content": [{**_logprob(each), "top_logprobs": [_logprob(top) for top in each.top]} for each in tokens],
        "refusal": None,
    }


def _logprob(token: generate_pb2.TokenLogprob) -> AlternativeLogprob:
    return {
        "token": token.text.decode(errors="replace"),
        "logprob": max(token.logprob, LEAST),
        "bytes": list(token.text),
    }
