"""One endpoint: a row of the table in `app`, and the ASGI application it becomes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
from grpc.aio import AioRpcError
from starlette.types import Receive, Scope, Send

from router.http import failure, reply, shape
from router.http.exchange import Exchange
from router.http.failure import ClientGone, Failure
from router.http.hosts import Hosts
from router.http.metrics import Meter
from router.http.upstream import Upstream

if TYPE_CHECKING:
    from router.http.trace import Spans

log = structlog.get_logger()

GONE = 499
"""What nginx calls the status of a request whose client has left; nobody sees it but the counter."""


@dataclass(frozen=True)
class Endpoint:
    """What is answered, and how.

    Attributes:
        handler: gets the exchange and the body, read as `asks`; returns plain data, a `Reply` or `Events`.
        replies: type of what it returns; `bytes` for text.
        event: type of an event, where it may stream.
        names: what the contract's fields are called in its requests.
        query: what may stand behind its path's `?`; the handler gets it instead of a body.
        limited: whether it counts among the requests under way.
    """

    method: str
    path: str
    handler: Callable[[Exchange, Any], Awaitable[Any]]
    replies: Any
    asks: type[shape.Ask] | None = None
    event: Any = None
    names: Mapping[str, str] = field(default_factory=dict)
    limited: bool = True
    query: type[shape.Query] | None = None


@dataclass
class Gate:
    """Lets so many requests in."""

    limit: int
    inside: int = 0


@dataclass(frozen=True)
class Limits:
    """What all endpoints share."""

    max_body_bytes: int
    timeout_s: float
    gate: Gate
    hosts: Hosts


class Door:
    """An endpoint as an ASGI application."""

    def __init__(
        self, endpoint: Endpoint, upstream: Upstream, limits: Limits, meter: Meter, spans: Spans | None = None
    ) -> None:
        self._endpoint = endpoint
        self._upstream = upstream
        self._limits = limits
        self._gate = limits.gate if endpoint.limited else Gate(2**31)
        self._done = meter.of(endpoint.path)
        # Those that are asked for again and again, or without an end, would hide the others.
        self._spans = spans if endpoint.limited else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status = time.perf_counter(), GONE
        exchange = Exchange(scope, receive, send, self._upstream, self._limits.timeout_s)
        span = self._spans.begin(exchange, self._endpoint.method, self._endpoint.path) if self._spans else None
        self._gate.inside += 1
        try:
            status = await self._answered(exchange)
        except ClientGone:
            pass
        finally:
            self._gate.inside -= 1
            self._done(status, time.perf_counter() - started)
            if self._spans and span:
                self._spans.end(span, status)

    async def _answered(self, exchange: Exchange) -> int:
        """The reply's status, once it is sent."""
        try:
            self._limits.hosts.check(exchange.headers.get(b"host"))
            if self._gate.inside > self._gate.limit:
                raise _full(self._gate.limit)
            answer = await self._endpoint.handler(exchange, await self._asked(exchange))
            sent = answer if isinstance(answer, reply.Events | reply.Reply) else reply.json(answer)
        except Exception as error:
            return await refused(exchange, self.failure(exchange, error))
        if isinstance(sent, reply.Events):
            return await sent.send(exchange, self.failure)
        return await sent.send(exchange)

    async def _asked(self, exchange: Exchange) -> Any:
        if self._endpoint.query is not None:
            return shape.read_query(self._endpoint.query, exchange.scope["query_string"])
        if self._endpoint.asks is None:
            return None
        # Said by name: what has another type, or none, a browser sends from any page without asking first.
        kind = exchange.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            message = "the body is JSON: send the header `Content-Type: application/json`"
            raise Failure(415, message, "unsupported_media_type", headers={"connection": "close"})
        return shape.read(self._endpoint.asks, await exchange.body(self._limits.max_body_bytes))

    def failure(self, exchange: Exchange, error: Exception) -> Failure:
        """What the request is told.

        Raises:
            ClientGone: nobody is there to be told.
        """
        if isinstance(error, ClientGone):
            raise error
        if isinstance(error, Failure):
            return error
        if isinstance(error, AioRpcError):
            return failure.of_rpc(error, self._endpoint.names)
        ids = {"request_id": exchange.request_id, "trace_id": exchange.trace_id}
        log.error("failed", path=self._endpoint.path, **ids, exc_info=error)
        return Failure(500, "the gateway failed: its log says why", "internal_error", kind="server_error")


async def refused(exchange: Exchange, told: Failure) -> int:
    """Sends a failure."""
    exchange.reply_headers += failure.as_headers(told)
    return await reply.json(told.body(), told.status).send(exchange)


def _full(limit: int) -> Failure:
    message = f"the gateway has {limit} requests under way, which is its limit"
    headers = {"retry-after": "1", "connection": "close"}
    return Failure(429, message, "gateway_full", kind="rate_limit_error", headers=headers)
