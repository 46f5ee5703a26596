"""What is sent back: a JSON document, other bytes, or a stream of server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pydantic_core

from router.http.exchange import Exchange
from router.http.failure import Failure

JSON = b"application/json"
OPTIONS = orjson.OPT_SERIALIZE_NUMPY
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Reply:
    """A whole reply."""

    body: bytes
    status: int = 200
    content_type: bytes = JSON

    async def send(self, exchange: Exchange) -> int:
        """Sends it; returns its status."""
        headers = [(b"content-type", self.content_type), (b"content-length", b"%d" % len(self.body))]
        await _start(exchange, self.status, headers)
        await exchange.send({"type": "http.response.body", "body": self.body})
        return self.status


@dataclass(frozen=True)
class Events:
    """A reply that is sent as it comes: each event as JSON, `[DONE]` at the end."""

    events: AsyncIterator[Any]

    async def send(self, exchange: Exchange, failure: Callable[[Exchange, Exception], Failure]) -> int:
        """Sends it; returns its status.  What fails on the way is the last event."""
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await _start(exchange, 200, headers)
        try:
            async for event in self.events:
                await exchange.send({"type": "http.response.body", "body": encoded(event), "more_body": True})
            status, last = 200, DONE
        except Exception as error:
            told = failure(exchange, error)
            status, last = told.status, encoded(told.body())
        await exchange.send({"type": "http.response.body", "body": last})
        return status


def json(value: Any, status: int = 200) -> Reply:
    """A document."""
    try:
        return Reply(orjson.dumps(value, option=OPTIONS), status)
    except TypeError:  # a caller's own numbers of more than 64 bits, which come back with its documents
        return Reply(pydantic_core.to_json(value), status)


def encoded(event: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + orjson.dumps(event) + b"\n\n"


async def _start(exchange: Exchange, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    headers += exchange.reply_headers
    await exchange.send({"type": "http.response.start", "status": status, "headers": headers})
