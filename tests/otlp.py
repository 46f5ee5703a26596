"""A receiver of OTLP over gRPC in this process, made of OpenTelemetry's own contract."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

PATIENCE_S = 20.0


@dataclass(frozen=True)
class Received:
    """A span as its sender described it."""

    span: trace_pb2.Span
    attributes: dict[str, Any]
    resource: dict[str, Any]

    @property
    def name(self) -> str:
        """Of the span."""
        return self.span.name

    @property
    def trace_id(self) -> str:
        """As W3C writes it."""
        return self.span.trace_id.hex()

    @property
    def seconds(self) -> float:
        """From its start to its end."""
        return (self.span.end_time_unix_nano - self.span.start_time_unix_nano) * 1e-9


@dataclass
class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps what it is sent."""

    url: str = ""
    spans: list[Received] = field(default_factory=list)
    _came: threading.Condition = field(default_factory=threading.Condition)

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The one rpc of the contract."""
        with self._came:
            self.spans += _spans(request)
            self._came.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()

    def wait(self, count: int = 1, name: str = "") -> list[Received]:
        """So many spans, of that name if one is given, as soon as they are there."""
        with self._came:
            there = self._came.wait_for(lambda: len(self._named(name)) >= count, PATIENCE_S)
            assert there, f"{len(self._named(name))} spans of {count}: {[each.name for each in self.spans]}"
            return self._named(name)

    def _named(self, name: str) -> list[Received]:
        return [each for each in self.spans if name in ("", each.name)]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens until the block ends."""
    server = grpc.server(ThreadPoolExecutor(2))
    receiver = Receiver()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, server)
    receiver.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield receiver
    server.stop(grace=None).wait()


def _spans(request: Any) -> Iterator[Received]:
    for resource in request.resource_spans:
        of = _plain(resource.resource.attributes)
        for scope in resource.scope_spans:
            yield from (Received(span, _plain(span.attributes), of) for span in scope.spans)


def _plain(attributes: Any) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in attributes}


def _value(value: common_pb2.AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None
