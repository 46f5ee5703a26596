"""POST /v1/embeddings."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from router.http.exchange import Exchange
from router.http.hints import Hints, route
from router.http.shape import Ask, Model
from waypost.v1 import embed_pb2

NAMES = {"texts": "input", "route": "waypost"}


class EmbeddingsRequest(Ask):
    """OpenAI's request for vectors."""

    model: Model = ""
    input: str | Annotated[list[str], Field(min_length=1)]
    """A text, or several.  Tokens are not read: they belong to another model."""
    encoding_format: Literal["float", "base64"] = "float"
    """ "base64": little-endian float32 bytes, which take half of the room."""
    dimensions: Annotated[int, Field(ge=1, le=65536)] | None = None
    """Length of hash vectors; other models refuse any length but theirs."""
    user: str | None = None
    """Ignored."""
    waypost: Hints | None = None


class Embedding(TypedDict):
    """The vector of one text."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(TypedDict):
    """Tokens, special ones included."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsReply(TypedDict):
    """Vectors in the order of the texts."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage


async def embeddings(exchange: Exchange, ask: EmbeddingsRequest) -> EmbeddingsReply:
    """Unit vectors of texts."""
    request = embed_pb2.EmbedRequest(
        model=ask.model,
        route=route(exchange.headers, ask.waypost),
        texts=[ask.input] if isinstance(ask.input, str) else ask.input,
        dimensions=ask.dimensions or 0,
    )
    reply = await exchange.call(exchange.upstream.embed, request)
    tokens = sum(each.tokens for each in reply.usage)
    rows = _base64(reply) if ask.encoding_format == "base64" else _floats(reply)
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": i, "embedding": row} for i, row in enumerate(rows)],
        "model": reply.served.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _base64(reply: embed_pb2.EmbedResponse) -> list[Any]:
    """Straight from the reply's bytes."""
    width, vectors = 4 * reply.dimensions, memoryview(reply.vectors)
    return [b64encode(vectors[at : at + width]).decode() for at in range(0, len(vectors), width)]


def _floats(reply: embed_pb2.EmbedResponse) -> list[Any]:
    """Rows that are written as numbers without becoming Python's first."""
    return list(np.frombuffer(reply.vectors, "<f4").reshape(-1, reply.dimensions))
