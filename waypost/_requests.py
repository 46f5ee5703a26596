"""Protobuf requests from plain Python values, checked here where the contract's own types cannot say what is wrong.

Limits are the server's to judge.  Checked here is what protobuf would answer with a bare `TypeError`, or take for
something else: a `str` where a list of texts is meant is a list of characters to it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from waypost.errors import Code, InvalidRequest
from waypost.v1 import (
    classify_pb2,
    common_pb2,
    embed_pb2,
    generate_pb2,
    rerank_pb2,
)

Schema = str | Mapping[str, Any]
Messages = str | Sequence[Mapping[str, str]]

_UINT32 = 2**32 - 1


class Route(TypedDict, total=False):
    """Route hints, as keyword arguments of every model call.

    tags: only instances that carry every one are considered.
    prefer_tags: instances that carry these come first.
    tier: "simple", "medium", "high", "creative" or "premium".
    session: calls of one session go to one instance while it lives.
    max_cost_usd: most the caller will pay for this call; 0 sets no limit.
    priority: "low", "normal" or "high".
    """

    tags: Sequence[str]
    prefer_tags: Sequence[str]
    tier: str
    session: str
    max_cost_usd: float
    priority: str


class EmbedOptions(Route, total=False):
    """Keyword arguments of `embed` and `embed_stream`.

    model: by name; empty: the router chooses.
    truncate: keep the beginning of texts longer than the model reads, instead of refusing the call.
    dimensions: length of hash vectors; 0 takes the model's own.
    """

    model: str
    truncate: bool
    dimensions: int


class CountOptions(Route, total=False):
    """Keyword arguments of `count_tokens`."""

    model: str


class ClassifyOptions(Route, total=False):
    """Keyword arguments of `classify`.

    head: label set, such as "intent"; empty where the model has just one.
    top_k: labels per text, best first; 0 gives all.
    threshold: labels scored below are left out.
    """

    model: str
    truncate: bool
    head: str
    top_k: int
    threshold: float


class RerankOptions(Route, total=False):
    """Keyword arguments of `rerank`; `top_k` documents are returned, 0 returns all."""

    model: str
    truncate: bool
    top_k: int


class Sampling(TypedDict, total=False):
    """How tokens are drawn; what is left out is the model's default."""

    seed: int
    temperature: float
    top_k: int
    top_p: float
    min_p: float


class GenerateOptions(Sampling, Route, total=False):
    """Keyword arguments of `generate` and `generate_stream`.

    max_tokens: most tokens of the answer; 0 takes the model's default.
    stop: strings that end the answer.
    json_schema: the answer satisfies this schema, given as a dict or as JSON.
    raw: a `str` prompt goes to the model as it is, without its chat template.
    """

    model: str
    max_tokens: int
    stop: Sequence[str]
    json_schema: Schema | None
    raw: bool


def embed(
    texts: Sequence[str], *, model: str = "", truncate: bool = False, dimensions: int = 0, **hints: Unpack[Route]
) -> embed_pb2.EmbedRequest:
    return embed_pb2.EmbedRequest(
        model=_text("model", model),
        route=_route(**hints),
        texts=_texts("texts", texts),
        truncation=_truncation(truncate),
        dimensions=_count("dimensions", dimensions),
    )


def embed_stream(texts: Sequence[str], **options: Unpack[EmbedOptions]) -> embed_pb2.EmbedStreamRequest:
    return embed_pb2.EmbedStreamRequest(request=embed(texts, **options))


def count_tokens(texts: Sequence[str], *, model: str = "", **hints: Unpack[Route]) -> embed_pb2.CountTokensRequest:
    return embed_pb2.CountTokensRequest(
        model=_text("model", model), route=_route(**hints), texts=_texts("texts", texts)
    )


def classify(
    texts: Sequence[str],
    *,
    model: str = "",
    head: str = "",
    top_k: int = 0,
    threshold: float = 0.0,
    truncate: bool = False,
    **hints: Unpack[Route],
) -> classify_pb2.ClassifyRequest:
    return classify_pb2.ClassifyRequest(
        model=_text("model", model),
        route=_route(**hints),
        texts=_texts("texts", texts),
        truncation=_truncation(truncate),
        head=_text("head", head),
        top_k=_count("top_k", top_k),
        threshold=_share("threshold", threshold),
    )


def rerank(
    query: str,
    documents: Sequence[str],
    *,
    model: str = "",
    top_k: int = 0,
    truncate: bool = False,
    **hints: Unpack[Route],
) -> rerank_pb2.RerankRequest:
    return rerank_pb2.RerankRequest(
        model=_text("model", model),
        route=_route(**hints),
        query=_text("query", query),
        documents=_texts("documents", documents),
        truncation=_truncation(truncate),
        top_k=_count("top_k", top_k),
    )


def generate(
    messages: Messages,
    *,
    model: str = "",
    max_tokens: int = 0,
    stop: Sequence[str] = (),
    json_schema: Schema | None = None,
    raw: bool = False,
    seed: int | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    **hints: Unpack[Route],
) -> generate_pb2.GenerateRequest:
    sampling = {"seed": seed, "temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
    return generate_pb2.GenerateRequest(
        chat=None if raw else _chat(messages),
        raw=_text("messages", messages) if raw else None,
        model=_text("model", model),
        route=_route(**hints),
        sampling=_sampling(sampling),
        max_tokens=_count("max_tokens", max_tokens),
        stop=_texts("stop", stop),
        json_schema=_schema(json_schema),
    )


def generate_stream(messages: Messages, **options: Unpack[GenerateOptions]) -> generate_pb2.GenerateStreamRequest:
    return generate_pb2.GenerateStreamRequest(request=generate(messages, **options))


def invalid(field: str, message: str, actual: object = "") -> InvalidRequest:
    """What the server says of a bad field, said before the call is sent."""
    return InvalidRequest(
        f"{field} {message}",
        code=Code.INVALID_ARGUMENT,
        reason="ERROR_REASON_INVALID_FIELD",
        field=field,
        metadata={"field": field, "actual": str(actual)},
    )


def _route(
    *,
    tags: Sequence[str] = (),
    prefer_tags: Sequence[str] = (),
    tier: str = "",
    session: str = "",
    max_cost_usd: float = 0.0,
    priority: str = "",
) -> common_pb2.RouteHints | None:
    if not (tags or prefer_tags or tier or session or max_cost_usd or priority):
        return None
    return common_pb2.RouteHints(
        required_tags=_texts("tags", tags),
        optional_tags=_texts("prefer_tags", prefer_tags),
        tier=_enum("tier", common_pb2.Tier, tier),
        session=_text("session", session),
        max_cost_usd=_number("max_cost_usd", max_cost_usd),
        priority=_enum("priority", common_pb2.Priority, priority),
    )


def _truncation(truncate: bool) -> common_pb2.Truncation:
    return common_pb2.TRUNCATION_END if truncate else common_pb2.TRUNCATION_UNSPECIFIED


def _texts(field: str, texts: object) -> list[str]:
    if isinstance(texts, (str, bytes)) or not isinstance(texts, Sequence):
        kind = type(texts).__name__
        raise invalid(field, f"is one {kind} where a list of str is expected: wrap a single text in a list", kind)
    return [text if _plain(text) else _text(f"{field}[{i}]", text) for i, text in enumerate(texts)]


def _plain(text: object) -> bool:
    return isinstance(text, str) and text.isascii()


def _text(field: str, text: object) -> str:
    if not isinstance(text, str):
        raise invalid(field, f"is a {type(text).__name__}, not a str", type(text).__name__)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise invalid(field, f"has a lone surrogate at {error.start}: it is not valid Unicode") from None
    return text


def _count(field: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _UINT32:
        raise invalid(field, f"is {value!r}: it must be a whole number from 0 to {_UINT32}", value)
    return value


def _number(field: str, value: object) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise invalid(field, f"is {value!r}: it must be a finite number", value)
    return float(value)


def _share(field: str, value: object) -> float:
    number = _number(field, value)
    if not 0.0 <= number <= 1.0:
        raise invalid(field, f"is {value!r}: it must be from 0 to 1", value)
    return number


def _enum(field: str, enum: Any, word: object) -> Any:
    if word == "":
        return 0
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    known = {name.removeprefix(prefix).lower(): value for name, value in enum.items() if value}
    if word not in known:
        raise invalid(field, f"is {word!r}: it must be one of {', '.join(known)}", word)
    return known[word]


def _sampling(values: Mapping[str, float | None]) -> generate_pb2.Sampling:
    given = {name: value for name, value in values.items() if value is not None}
    for name, value in given.items():
        _number(f"sampling.{name}", value)
    return _built("sampling", generate_pb2.Sampling, given)


def _built(field: str, kind: type[generate_pb2.Sampling], values: Mapping[str, Any]) -> generate_pb2.Sampling:
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise invalid(field, f"does not fit the contract: {error}") from None


def _schema(schema: Schema | None) -> str:
    if schema is None or isinstance(schema, str):
        return _text("json_schema", schema or "")
    return json.dumps(schema)


def _chat(messages: Messages) -> generate_pb2.Prompt:
    turns = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    return generate_pb2.Prompt(messages=[_message(i, turn) for i, turn in enumerate(turns)])


def _message(i: int, turn: object) -> generate_pb2.ChatMessage:
    field = f"messages[{i}]"
    if not isinstance(turn, Mapping) or set(turn) != {"role", "content"}:
        raise invalid(field, f"is {turn!r}: it must be a dict with role and content")
    role, content = (_text(f"{field}.{key}", turn[key]) for key in ("role", "content"))
    return generate_pb2.ChatMessage(role=role, content=content)
