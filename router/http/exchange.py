"""One request being answered: what it brought, the calls made for it, and what is sent back.

A call goes on only while the client is there.  To watch for its leaving takes a task, so the watch begins when a call
takes longer than most do.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc

from router.http.failure import ClientGone, Failure, invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message
    from starlette.types import Receive, Scope, Send

    from router.http.upstream import Upstream

WATCH_AFTER_S = 0.02
REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,64}")
KEY = re.compile(rb"(?i:bearer) +([\x21-\x7e]+)")
TRACE = re.compile(rb"[\x20-\x7e]{1,512}")
MAX_TIMEOUT_S = 86_400.0
Pairs = Iterable[tuple[bytes, bytes]]


class Exchange:
    """A request, the way to the router, and the reply's headers.

    `trace` is what the router is told of the trace that it belongs to: pairs of metadata.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, upstream: Upstream, timeout_s: float) -> None:
        self.scope = scope
        self.upstream = upstream
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.request_id = _request_id(self.headers.get(b"x-request-id"))
        self.reply_headers: list[tuple[bytes, bytes]] = [(b"x-request-id", self.request_id.encode())]
        self.trace = _trace(self.headers) if b"traceparent" in self.headers else ()
        self.send = send
        self._receive = receive
        self._timeout_s = timeout_s
        self._gone = False

    async def body(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            Failure: it has more than `limit` bytes; of what is too much, some is read, so that the answer is seen.
            ClientGone: it did not come to its end.
        """
        declared = self.headers.get(b"content-length", b"0")
        if b"expect" in self.headers and declared.isdigit() and int(declared) > limit:
            raise _too_large(limit)
        parts, size, more = [], 0, True
        while more and size <= 2 * limit:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            size += len(message.get("body", b""))
            if size <= limit:
                parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        if size > limit:
            raise _too_large(limit)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def call(self, stub: Any, request: Message, patience_s: float | None = None) -> Any:
        """The router's answer; what its trailers say of it goes into the reply's headers.

        `patience_s` counts instead of the time that the request has.

        Raises:
            grpc.aio.AioRpcError: it failed.
            ClientGone: the client has left, and the call was cancelled.
        """
        started = self.start(stub, request, patience_s)
        with self._watching(started):
            try:
                reply = await started
                self.note(await started.trailing_metadata())
                return reply
            except asyncio.CancelledError:
                if self._gone:
                    raise ClientGone from None
                raise
            except grpc.aio.AioRpcError as error:
                self.note(error.trailing_metadata())
                raise

    async def stream(self, stub: Any, request: Message) -> AsyncIterator[Any]:
        """The router's answer piece by piece.

        Raises:
            grpc.aio.AioRpcError: it failed.
            ClientGone: the client has left, and the call was cancelled.
        """
        started = self.start(stub, request)
        with self._watching(started):
            try:
                async for piece in started:
                    yield piece
            except asyncio.CancelledError:
                if self._gone:
                    raise ClientGone from None
                raise
            finally:
                started.cancel()

    def start(self, stub: Any, request: Message, patience_s: float | None = None) -> Any:
        """Sends a call."""
        return stub(request, timeout=patience_s or self._timeout(), metadata=self._metadata())

    def note(self, trailers: Any) -> None:
        """Puts what the router says of a call into the reply's headers."""
        for key, value in trailers or ():
            if key.startswith("waypost-") and key != "waypost-request-id":
                self.reply_headers.append((b"x-" + key.encode(), value.encode("latin-1", "replace")))

    @contextmanager
    def _watching(self, call: Any) -> Iterator[None]:
        """Cancels the call when the client leaves."""
        loop = asyncio.get_running_loop()
        watch: list[asyncio.Task[None]] = []
        timer = loop.call_later(WATCH_AFTER_S, lambda: watch.append(loop.create_task(self._watch(call))))
        try:
            yield
        finally:
            timer.cancel()
            for task in watch:
                task.cancel()

    @contextmanager
    def left(self) -> Iterator[asyncio.Task[None]]:
        """A task that is done when the client has left."""
        watch = asyncio.create_task(self._leaving())
        try:
            yield watch
        finally:
            watch.cancel()

    async def _watch(self, call: Any) -> None:
        await self._leaving()
        self._gone = True
        call.cancel()

    async def _leaving(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        metadata = [("x-request-id", self.request_id)]
        if given := self.headers.get(b"authorization"):
            metadata.append(("authorization", _authorization(given)))
        if client := self.scope.get("client"):
            metadata.append(("waypost-peer", _peer(*client)))
        return (*metadata, *self.trace)

    @property
    def trace_id(self) -> str:
        """Of the trace that the request belongs to, 32 hexadecimal digits; empty: none."""
        return self.trace[0][1][3:35] if self.trace else ""

    def _timeout(self) -> float:
        given = self.headers.get(b"x-waypost-timeout-s")
        return self._timeout_s if given is None else _seconds(given)


def _request_id(given: bytes | None) -> str:
    """The client's own name for the request, where it is one."""
    return given.decode() if given and REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _trace(headers: dict[bytes, bytes]) -> tuple[tuple[str, str], ...]:
    """W3C's trace context, to be passed on as it came; whoever reads it decides whether it is one."""
    parent, state = headers[b"traceparent"], headers.get(b"tracestate", b"")
    if not TRACE.fullmatch(parent):
        return ()
    passed = (("traceparent", parent.decode()),)
    return (*passed, ("tracestate", state.decode())) if TRACE.fullmatch(state) else passed


def _authorization(given: bytes) -> str:
    found = KEY.fullmatch(given)
    if not found:
        message = "the header Authorization is not of the form `Bearer KEY`"
        raise Failure(401, message, "invalid_api_key", kind="authentication_error")
    return f"Bearer {found[1].decode()}"


def _peer(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _seconds(given: bytes) -> float:
    try:
        found = float(given)
    except ValueError:
        found = 0.0
    if not 0 < found <= MAX_TIMEOUT_S:
        raise invalid(
            "X-Waypost-Timeout-S", f"the header X-Waypost-Timeout-S is not above 0 and at most {MAX_TIMEOUT_S:g}"
        )
    return found


def _too_large(limit: int) -> Failure:
    return Failure(413, f"the body has more than {limit} bytes", "body_too_large", headers={"connection": "close"})
