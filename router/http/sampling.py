"""How tokens are drawn: what chat and plain completions have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from router.http.failure import invalid
from router.http.hints import Hints
from router.http.shape import Ask, Model
from waypost.v1 import common_pb2, generate_pb2

Stop = Annotated[str, Field(min_length=1, max_length=256)]
TokenId = Annotated[str, Field(pattern=r"^\d{1,9}$")]
Bias = Annotated[float, Field(ge=-100, le=100)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
SEEDS = 2**64
TRUNCATIONS = {"start": common_pb2.TRUNCATION_START, "end": common_pb2.TRUNCATION_END}


class WritingHints(Hints):
    """What OpenAI's requests have no field for, of those that ask for text."""

    grammar: str | None = None
    """GBNF grammar that the answer satisfies, from its rule `root`."""
    adapter: str | None = None
    """LoRA adapter of the model by name."""
    truncation: Literal["start", "end"] | None = None
    """What of a prompt that is too long is dropped: "start", of a conversation the oldest turns; "end"."""


class StreamOptions(Ask):
    """How a stream is sent."""

    include_usage: bool | None = None
    """Whether an event before the last says the usage."""
    include_obfuscation: bool | None = None
    """Ignored."""


class Writing(Ask):
    """What a request for text may say, be it a chat or a prompt."""

    model: Model = ""
    max_tokens: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    """Most tokens of the answer; absent: the model's default."""
    temperature: Annotated[float, Field(ge=0, le=10)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """Only the so many likeliest tokens, as vLLM and others have it."""
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Only tokens at least this share as likely as the likeliest, as vLLM and others have it."""
    repetition_penalty: Annotated[float, Field(ge=0.01, le=10)] | None = None
    """Divides the logits of tokens seen lately, as vLLM and others have it."""
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=SEEDS - 1)] | None = None
    logit_bias: Annotated[dict[TokenId, Bias], Field(max_length=1024)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=32)] | None = None
    n: Annotated[int, Field(ge=1, le=1)] | None = None
    """One answer per request."""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    """Ignored."""
    waypost: WritingHints | None = None


def common(ask: Writing, route: common_pb2.RouteHints | None) -> generate_pb2.GenerateRequest:
    """The request, without its input."""
    own = ask.waypost or WritingHints()
    return generate_pb2.GenerateRequest(
        model=ask.model,
        route=route,
        sampling=_sampling(ask),
        max_tokens=ask.max_tokens or 0,
        stop=[ask.stop] if isinstance(ask.stop, str) else ask.stop,
        grammar=own.grammar,
        adapter=own.adapter,
        truncation=TRUNCATIONS[own.truncation] if own.truncation else None,
    )


def check_stream_options(ask: Writing) -> None:
    """Options of a stream, without one.

    Raises:
        Failure: they are there.
    """
    if ask.stream_options and not ask.stream:
        raise invalid("stream_options", "stream_options is allowed only where stream is true")


def _sampling(ask: Writing) -> generate_pb2.Sampling:
    return generate_pb2.Sampling(
        seed=None if ask.seed is None else ask.seed % SEEDS,
        temperature=ask.temperature,
        top_k=ask.top_k,
        top_p=ask.top_p,
        min_p=ask.min_p,
        repeat_penalty=ask.repetition_penalty,
        frequency_penalty=ask.frequency_penalty,
        presence_penalty=ask.presence_penalty,
        logit_bias={int(token): bias for token, bias in (ask.logit_bias or {}).items()},
    )
