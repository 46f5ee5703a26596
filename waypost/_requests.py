"""Protobuf requests of embed, classify and rerank from plain Python values; `_generate` has those of generate.

The options are the keyword arguments of the clients' methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict, Unpack

from waypost import _fields as fields
from waypost.v1 import classify_pb2, common_pb2, embed_pb2, rerank_pb2


class Route(TypedDict, total=False):
    """Route hints, as keyword arguments of every model call.

    tags: only instances that carry every one are considered.
    prefer_tags: instances that carry these come first.
    tier: "simple", "medium", "high", "creative" or "premium".
    session: calls of one session go to one instance while it lives.
    max_cost_usd: most the caller will pay for this call; 0 sets no limit.
    priority: "low", "normal" or "high".
    tenant: for whom the call is made; those who wait are served in turns by tenant.
    no_cache: neither answer from the router's cache nor keep the answer there.
    no_store: keep nothing of what is said: no payload log, no cache, no copy to a canary.
    """

    tags: Sequence[str]
    prefer_tags: Sequence[str]
    tier: str
    session: str
    max_cost_usd: float
    priority: str
    tenant: str
    no_cache: bool
    no_store: bool


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


def embed(
    texts: Sequence[str], *, model: str = "", truncate: bool = False, dimensions: int = 0, **hints: Unpack[Route]
) -> embed_pb2.EmbedRequest:
    return embed_pb2.EmbedRequest(
        model=fields.text("model", model),
        route=route(**hints),
        texts=fields.texts("texts", texts),
        truncation=truncation(truncate),
        dimensions=fields.count("dimensions", dimensions),
    )


def embed_stream(texts: Sequence[str], **options: Unpack[EmbedOptions]) -> embed_pb2.EmbedStreamRequest:
    return embed_pb2.EmbedStreamRequest(request=embed(texts, **options))


def count_tokens(texts: Sequence[str], *, model: str = "", **hints: Unpack[Route]) -> embed_pb2.CountTokensRequest:
    return embed_pb2.CountTokensRequest(
        model=fields.text("model", model), route=route(**hints), texts=fields.texts("texts", texts)
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
        model=fields.text("model", model),
        route=route(**hints),
        texts=fields.texts("texts", texts),
        truncation=truncation(truncate),
        head=fields.text("head", head),
        top_k=fields.count("top_k", top_k),
        threshold=fields.share("threshold", threshold),
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
        model=fields.text("model", model),
        route=route(**hints),
        query=fields.text("query", query),
        documents=fields.texts("documents", documents),
        truncation=truncation(truncate),
        top_k=fields.count("top_k", top_k),
    )


def route(
    *,
    tags: Sequence[str] = (),
    prefer_tags: Sequence[str] = (),
    tier: str = "",
    session: str = "",
    max_cost_usd: float = 0.0,
    priority: str = "",
    tenant: str = "",
    no_cache: bool = False,
    no_store: bool = False,
) -> common_pb2.RouteHints | None:
    if not (tags or prefer_tags or tier or session or max_cost_usd or priority or tenant or no_cache or no_store):
        return None
    return common_pb2.RouteHints(
        required_tags=fields.texts("tags", tags),
        optional_tags=fields.texts("prefer_tags", prefer_tags),
        tier=fields.enum("tier", common_pb2.Tier, tier),
        session=fields.text("session", session),
        max_cost_usd=fields.number("max_cost_usd", max_cost_usd),
        priority=fields.enum("priority", common_pb2.Priority, priority),
        tenant=fields.text("tenant", tenant),
        no_cache=fields.flag("no_cache", no_cache),
        no_store=fields.flag("no_store", no_store),
    )


def truncation(truncate: bool | str, usual: str = "end") -> common_pb2.Truncation:
    """True is what is usual of the call; False and "" refuse what is too long."""
    word = (usual if truncate else "") if isinstance(truncate, bool) else truncate
    return fields.enum("truncate", common_pb2.Truncation, word)
