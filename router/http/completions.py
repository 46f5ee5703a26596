"""POST /v1/completions: a text that goes on, without a model's chat template."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from router.http import chat_ask
from router.http.chat import LEAST, streamed
from router.http.exchange import Exchange
from router.http.hints import route
from router.http.reply import Events
from router.http.sampling import Writing, check_stream_options, common
from router.http.usage import FINISH, FinishReason, Usage, usage
from waypost.v1 import generate_pb2

NAMES = chat_ask.NAMES | {"raw": "prompt", "input": "prompt", "top_logprobs": "logprobs"}


Prompt = Annotated[str, Field(min_length=1)]


class CompletionRequest(Writing):
    """OpenAI's request for a text that goes on."""

    prompt: Prompt | Annotated[list[Prompt], Field(min_length=1, max_length=1)]
    """One text; tokens are not read."""
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    """Log probabilities of so many of the likeliest tokens."""
    echo: Literal[False] | None = None
    suffix: Literal[""] | None = None
    best_of: Annotated[int, Field(ge=1, le=1)] | None = None


class CompletionLogprobs(TypedDict):
    """Of each token, and where it begins."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class CompletionChoice(TypedDict):
    """The one text there is, or a piece of it."""

    index: Literal[0]
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: FinishReason | None


class CompletionReply(TypedDict):
    """OpenAI's answer; in a stream, an event of it."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    system_fingerprint: NotRequired[str]
    choices: list[CompletionChoice]
    usage: NotRequired[Usage | None]


async def completions(exchange: Exchange, ask: CompletionRequest) -> CompletionReply | Events:
    """The text that follows; with `stream`, server-sent events."""
    check_stream_options(ask)
    request = common(ask, route(exchange.headers, ask.waypost))
    request.raw = ask.prompt if isinstance(ask.prompt, str) else ask.prompt[0]
    if ask.logprobs is not None:
        request.top_logprobs = ask.logprobs
    texts = Texts(exchange, ask)
    if ask.stream:
        return await streamed(exchange, request, texts)
    return texts.whole(await exchange.call(exchange.upstream.generate, request))


class Texts:
    """Answers of one request: the whole, or the events of a stream."""

    def __init__(self, exchange: Exchange, ask: CompletionRequest) -> None:
        self._ask = ask
        self._id = f"cmpl-{exchange.request_id}"
        self._created = int(time.time())
        self._sent = 0
        self._with_usage = bool(ask.stream_options and ask.stream_options.include_usage)

    def whole(self, reply: generate_pb2.GenerateResponse) -> CompletionReply:
        """An answer that was waited for."""
        made = self._reply(reply.text, reply.logprobs, FINISH.get(reply.finish_reason, "stop"))
        return made | _signed(reply) | {"usage": usage(reply.usage)}

    def first(self) -> list[CompletionReply]:
        """What is sent before anything of the answer."""
        return []

    def of(self, piece: generate_pb2.GenerateStreamResponse) -> list[CompletionReply]:
        """What is sent for a piece of the answer; the last may bring text as well as the end."""
        return self._written(piece) + (self._last(piece.final) if piece.HasField("final") else [])

    def _written(self, piece: generate_pb2.GenerateStreamResponse) -> list[CompletionReply]:
        if not piece.text and not (piece.logprobs and self._ask.logprobs is not None):
            return []
        return [self._event(piece.text, piece.logprobs, None)]

    def _last(self, final: generate_pb2.GenerateResponse) -> list[CompletionReply]:
        events = [self._event("", [], FINISH.get(final.finish_reason, "stop")) | _signed(final)]
        if self._with_usage:
            events.append(events[0] | {"choices": [], "usage": usage(final.usage)})
        return events

    def _event(
        self, text: str, logprobs: Sequence[generate_pb2.TokenLogprob], finish: FinishReason | None
    ) -> CompletionReply:
        event = self._reply(text, logprobs, finish)
        return event | {"usage": None} if self._with_usage else event

    def _reply(
        self, text: str, logprobs: Sequence[generate_pb2.TokenLogprob], finish: FinishReason | None
    ) -> CompletionReply:
        said = None if self._ask.logprobs is None else self._logprobs(logprobs)
        return {
            "id": self._id,
            "object": "text_completion",
            "created": self._created,
            "model": self._ask.model,
            "choices": [{"index": 0, "text": text, "logprobs": said, "finish_reason": finish}],
        }

    def _logprobs(self, tokens: Sequence[generate_pb2.TokenLogprob]) -> CompletionLogprobs:
        texts = [_text(each) for each in tokens]
        offsets = []
        for text in texts:
            offsets.append(self._sent)
            self._sent += len(text)
        return {
            "tokens": texts,
            "token_logprobs": [max(each.logprob, LEAST) for each in tokens],
            "top_logprobs": [{_text(top): max(top.logprob, LEAST) for top in each.top} for each in tokens],
            "text_offset": offsets,
        }


def _text(token: generate_pb2.TokenLogprob) -> str:
    return token.text.decode(errors="replace")


def _signed(reply: generate_pb2.GenerateResponse) -> CompletionReply:
    return {"model": reply.served.model, "system_fingerprint": reply.served.version}  # type: ignore[typeddict-item]
