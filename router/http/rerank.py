"""POST /v1/rerank, in the form that Cohere and Jina have made usual."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from router.http.exchange import Exchange
from router.http.hints import Hints, route
from router.http.shape import Ask, Model
from waypost.v1 import rerank_pb2

NAMES = {"top_k": "top_n", "route": "waypost"}


class Document(Ask):
    """A document as an object; what else it has is returned with it, and not read."""

    model_config = ConfigDict(extra="allow")
    text: str


class RerankRequest(Ask):
    """Documents to be ordered against a query."""

    model: Model = ""
    query: str
    documents: Annotated[list[str | Document], Field(min_length=1)]
    top_n: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    """Documents returned; absent: all."""
    return_documents: bool | None = None
    """Whether each document comes back with its score."""
    user: str | None = None
    """Ignored."""
    waypost: Hints | None = None


class Ranked(TypedDict):
    """A document by its place in the request."""

    index: int
    relevance_score: float
    document: NotRequired[dict[str, Any]]


class RerankUsage(TypedDict):
    """Tokens read."""

    total_tokens: int


class RerankMeta(TypedDict):
    """How the scores were made: "cross-encoder", or "cosine+bm25"."""

    method: str


class RerankReply(TypedDict):
    """Best first; scores are comparable within one reply only."""

    id: str
    model: str
    results: list[Ranked]
    usage: RerankUsage
    meta: RerankMeta


async def rerank(exchange: Exchange, ask: RerankRequest) -> RerankReply:
    """Documents ordered against a query."""
    request = rerank_pb2.RerankRequest(
        model=ask.model,
        route=route(exchange.headers, ask.waypost),
        query=ask.query,
        documents=[each if isinstance(each, str) else each.text for each in ask.documents],
        top_k=ask.top_n or 0,
    )
    reply = await exchange.call(exchange.upstream.rerank, request)
    return {
        "id": exchange.request_id,
        "model": reply.served.model,
        "results": [_ranked(each, ask) for each in reply.ranking],
        "usage": {"total_tokens": sum(each.tokens for each in reply.usage)},
        "meta": {"method": reply.method},
    }


def _ranked(of: rerank_pb2.RankedDocument, ask: RerankRequest) -> Ranked:
    ranked: Ranked = {"index": of.index, "relevance_score": of.score}
    if ask.return_documents:
        document = ask.documents[of.index]
        ranked["document"] = {"text": document} if isinstance(document, str) else document.model_dump()
    return ranked
