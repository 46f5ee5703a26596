"""Spans of the gateway: one for each request, sent by OTLP from a thread of the SDK's.

A request that belongs to a trace already is recorded as its caller says, of others a share.  That is decided before
the SDK is asked for anything, which takes it 100 us for each request; the router is told of either decision, so that a
trace is recorded as a whole or not at all.  Imported only where traces are configured: everywhere else the caller's
context is passed on as it came.
"""

from __future__ import annotations

import logging
import os
import random
import threading

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, SpanKind, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import waypost
from router.http.exchange import Exchange
from waypost.config import Telemetry

PERIOD_MS = 1000
"""Spans wait no longer than this."""
BATCH = 512
TIMEOUT_S = 10.0
"""How long the receiver may take for a batch."""
CLOSE_S = 3.0
"""How long spans that wait may take to be sent at the end."""
MAX_AGENT = 256
W3C = TraceContextTextMapPropagator()

log = structlog.get_logger()


class Spans:
    """Makes the spans of requests."""

    def __init__(self, config: Telemetry) -> None:
        assert config.otlp
        _tell()
        self._share = config.sample
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource(
                {
                    "service.name": "waypost-gateway",
                    "service.namespace": "waypost",
                    "service.instance.id": f"http-{os.getpid()}",
                    "service.version": waypost.__version__,
                }
            ),
            shutdown_on_exit=False,
        )
        sent = OTLPSpanExporter(config.otlp, timeout=TIMEOUT_S)
        self._provider.add_span_processor(
            BatchSpanProcessor(sent, config.span_queue, PERIOD_MS, min(BATCH, config.span_queue))
        )
        self._tracer = self._provider.get_tracer("waypost", waypost.__version__)

    def begin(self, exchange: Exchange, method: str, route: str) -> Span | None:
        """The span of a request, whose context goes to the router with its calls; None: it is not recorded."""
        caller = W3C.extract(dict(exchange.trace), Context()) if exchange.trace else Context()
        parent = get_current_span(caller).get_span_context()
        if parent.is_valid and not parent.trace_flags.sampled:
            return None
        if not parent.is_valid and random.random() >= self._share:
            exchange.trace = _unrecorded()
            return None
        attributes = _attributes(exchange, method, route)
        span = self._tracer.start_span(f"{method} {route}", caller, SpanKind.SERVER, attributes)
        carrier: dict[str, str] = {}
        W3C.inject(carrier, set_span_in_context(span, caller))
        exchange.trace = tuple(carrier.items())
        return span

    def end(self, span: Span, status: int) -> None:
        """The request was answered so; a failure of the server's is one of the span's."""
        span.set_attribute("http.response.status_code", status)
        if status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(StatusCode.ERROR)
        span.end()

    def close(self) -> None:
        """Sends what waits; a receiver that is away gets no more time than the gateway has."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_S)


def _unrecorded() -> tuple[tuple[str, str], ...]:
    """The context of a trace that nobody records."""
    return (("traceparent", f"00-{random.getrandbits(128) or 1:032x}-{random.getrandbits(64) or 1:016x}-00"),)


def _attributes(exchange: Exchange, method: str, route: str) -> dict[str, str]:
    """By the semantic conventions for HTTP servers."""
    scope, agent = exchange.scope, exchange.headers.get(b"user-agent", b"")
    found = {
        "http.request.method": method,
        "http.route": route,
        "url.path": scope["path"],
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope["http_version"],
        "waypost.request_id": exchange.request_id,
        "user_agent.original": agent[:MAX_AGENT].decode("latin-1"),
        "client.address": (scope.get("client") or ("",))[0],
    }
    return {name: value for name, value in found.items() if value}


class _Told(logging.Handler):
    """What the SDK has to say, as lines of our own log; it does not repeat itself within a minute."""

    def emit(self, record: logging.LogRecord) -> None:
        log.warning("traces", detail=record.getMessage())


def _tell() -> None:
    theirs = logging.getLogger("opentelemetry")
    theirs.handlers, theirs.propagate = [_Told(logging.WARNING)], False
