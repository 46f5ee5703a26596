"""A server of the whole contract made of the generated stubs, for tests that decide themselves what is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_health.v1 import health, health_pb2_grpc

from waypost.v1 import (
    classify_pb2_grpc,
    embed_pb2_grpc,
    generate_pb2,
    generate_pb2_grpc,
    mesh_pb2_grpc,
    rerank_pb2_grpc,
    retrieve_pb2_grpc,
)

Answer = Callable[[Any, grpc.ServicerContext], Any]

SERVICES = (
    (embed_pb2_grpc.add_EmbedServiceServicer_to_server, embed_pb2_grpc.EmbedServiceServicer),
    (classify_pb2_grpc.add_ClassifyServiceServicer_to_server, classify_pb2_grpc.ClassifyServiceServicer),
    (rerank_pb2_grpc.add_RerankServiceServicer_to_server, rerank_pb2_grpc.RerankServiceServicer),
    (generate_pb2_grpc.add_GenerateServiceServicer_to_server, generate_pb2_grpc.GenerateServiceServicer),
    (retrieve_pb2_grpc.add_RetrieveServiceServicer_to_server, retrieve_pb2_grpc.RetrieveServiceServicer),
    (mesh_pb2_grpc.add_MeshServiceServicer_to_server, mesh_pb2_grpc.MeshServiceServicer),
)


@dataclass
class FakeMesh:
    """The whole contract; a test sets the answers: `mesh.answers["Embed"] = lambda request, context: …`."""

    address: str
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[Any] = field(default_factory=list)
    health: health.HealthServicer = field(default_factory=health.HealthServicer)

    def serve(self) -> grpc.Server:
        """Listens; the caller stops it."""
        server = grpc.server(ThreadPoolExecutor(8))
        for add, base in SERVICES:
            add(self._servicer(base), server)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, server)
        server.add_insecure_port(self.address)
        server.start()
        return server

    def _servicer(self, base: type) -> object:
        """An object with one method per rpc of `base`; rpcs without an answer stay UNIMPLEMENTED."""
        rpcs = [name for name in vars(base) if name[0].isupper()]
        return type(base.__name__, (base,), {name: self._method(base, name) for name in rpcs})()

    def _method(self, base: type, name: str) -> Answer:
        def method(servicer: object, request: Any, context: grpc.ServicerContext) -> Any:
            if name not in self.answers:
                return getattr(base, name)(servicer, request, context)
            self.requests.append(request)
            return self.answers[name](request, context)

        return method


def failing(code: grpc.StatusCode, message: str, *details: Message) -> Answer:
    """An answer that fails: `failing(code, message, ErrorInfo(…), …)`."""
    status = status_pb2.Status(code=code.value[0], message=message, details=[_pack(each) for each in details])

    def answer(request: object, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, message)

    return answer


def trailing(said: dict[str, str], answer: Answer) -> Answer:
    """`answer`, with these trailers."""

    def method(request: Any, context: grpc.ServicerContext) -> Any:
        context.set_trailing_metadata(tuple(said.items()))
        return answer(request, context)

    return method


def streaming(*pieces: str, **final: Any) -> Answer:
    """An answer in pieces; `final` has fields of the GenerateResponse that ends it."""

    def answer(request: object, context: grpc.ServicerContext) -> Iterator[generate_pb2.GenerateStreamResponse]:
        yield from (generate_pb2.GenerateStreamResponse(text=piece) for piece in pieces)
        whole = {"finish_reason": generate_pb2.FINISH_REASON_STOP} | final
        yield generate_pb2.GenerateStreamResponse(final=generate_pb2.GenerateResponse(**whole))

    return answer


def stalling(left: Event, *pieces: str) -> Answer:
    """An answer that stops after some pieces; sets `left` when its caller goes away."""

    def answer(request: object, context: grpc.ServicerContext) -> Iterator[generate_pb2.GenerateStreamResponse]:
        context.add_callback(left.set)
        yield from (generate_pb2.GenerateStreamResponse(text=piece) for piece in pieces)
        left.wait()

    return answer


def _pack(detail: Message) -> Packed:
    packed = Packed()
    packed.Pack(detail)
    return packed
