"""POST /v1/classify."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from router.http.embeddings import EmbeddingsUsage
from router.http.exchange import Exchange
from router.http.hints import Hints, route
from router.http.shape import Ask, Model
from waypost.v1 import classify_pb2

NAMES = {"texts": "input", "route": "waypost"}


class ClassifyRequest(Ask):
    """Texts to be labelled."""

    model: Model = ""
    input: str | Annotated[list[str], Field(min_length=1)]
    head: Annotated[str, Field(max_length=256)] = ""
    """Label set, such as "intent"; not needed where the model has just one."""
    top_k: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    """Labels per text, best first; absent: all."""
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    """Labels scored below are left out."""
    user: str | None = None
    """Ignored."""
    waypost: Hints | None = None


class Label(TypedDict):
    """A label and its calibrated probability."""

    label: str
    score: float


class Classified(TypedDict):
    """The labels of one text; out of scope, they are a guess."""

    object: Literal["classification"]
    index: int
    labels: list[Label]
    out_of_scope: bool


class ClassifyReply(TypedDict):
    """Labels in the order of the texts."""

    object: Literal["list"]
    data: list[Classified]
    model: str
    head: str
    usage: EmbeddingsUsage


async def classify(exchange: Exchange, ask: ClassifyRequest) -> ClassifyReply:
    """Labels of texts."""
    request = classify_pb2.ClassifyRequest(
        model=ask.model,
        route=route(exchange.headers, ask.waypost),
        texts=[ask.input] if isinstance(ask.input, str) else ask.input,
        head=ask.head,
        top_k=ask.top_k or 0,
        threshold=ask.threshold or 0.0,
    )
    reply = await exchange.call(exchange.upstream.classify, request)
    tokens = sum(each.tokens for each in reply.usage)
    return {
        "object": "list",
        "data": [_classified(i, each) for i, each in enumerate(reply.results)],
        "model": reply.served.model,
        "head": reply.head,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _classified(index: int, of: classify_pb2.Classification) -> Classified:
    labels: list[Label] = [{"label": each.label, "score": each.score} for each in of.labels]
    return {"object": "classification", "index": index, "labels": labels, "out_of_scope": of.out_of_scope}
