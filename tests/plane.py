"""Workers and routers of the Rust plane in this process, with models made of Python functions.

They listen on Unix sockets and are called by a plain grpcio client over the protos, without Waypost's own client and
without retries: a test sees what the server says.
"""

from __future__ import annotations

import json
import string
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import numpy as np
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from numpy.typing import NDArray

from services.heads.headfile import Head
from tests.fake_mesh import FakeMesh
from waypost import _core
from waypost.v1 import (
    classify_pb2,
    common_pb2,
    embed_pb2,
    embed_pb2_grpc,
    generate_pb2,
    mesh_pb2,
    rerank_pb2,
    retrieve_pb2,
)

PATIENCE_S = 20.0
DIMENSIONS = 16
LIMITS = {"max_receive_bytes": 33554432, "max_texts": 1024, "max_text_bytes": 1048576, "queue_limit": 4096}

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
LETTERS = string.ascii_lowercase + string.digits
PIECES = (*SPECIAL, *LETTERS, *("##" + letter for letter in LETTERS))
"""One token per letter, so that any text of lower-case words can be read back from its tokens."""

RPCS: dict[type[Message], tuple[str, type[Message]]] = {
    embed_pb2.EmbedRequest: ("EmbedService/Embed", embed_pb2.EmbedResponse),
    embed_pb2.CountTokensRequest: ("EmbedService/CountTokens", embed_pb2.CountTokensResponse),
    classify_pb2.ClassifyRequest: ("ClassifyService/Classify", classify_pb2.ClassifyResponse),
    rerank_pb2.RerankRequest: ("RerankService/Rerank", rerank_pb2.RerankResponse),
    generate_pb2.GenerateRequest: ("GenerateService/Generate", generate_pb2.GenerateResponse),
    generate_pb2.GenerateServiceCountTokensRequest: (
        "GenerateService/CountTokens",
        generate_pb2.GenerateServiceCountTokensResponse,
    ),
    retrieve_pb2.QueryDocumentsRequest: ("RetrieveService/QueryDocuments", retrieve_pb2.QueryDocumentsResponse),
    mesh_pb2.DescribeInstanceRequest: ("MeshService/DescribeInstance", mesh_pb2.DescribeInstanceResponse),
    mesh_pb2.ListModelsRequest: ("MeshService/ListModels", mesh_pb2.ListModelsResponse),
    mesh_pb2.ListInstancesRequest: ("MeshService/ListInstances", mesh_pb2.ListInstancesResponse),
}


def embed(*texts: str, **fields: Any) -> embed_pb2.EmbedRequest:
    return embed_pb2.EmbedRequest(texts=texts, **fields)


def classify(*texts: str, **fields: Any) -> classify_pb2.ClassifyRequest:
    return classify_pb2.ClassifyRequest(texts=texts, **fields)


def rerank(query: str, *documents: str, **fields: Any) -> rerank_pb2.RerankRequest:
    return rerank_pb2.RerankRequest(query=query, documents=documents, **fields)


def hints(**fields: Any) -> common_pb2.RouteHints:
    return common_pb2.RouteHints(**fields)


def vectors(reply: embed_pb2.EmbedResponse) -> NDArray[np.float32]:
    """The rows of a reply."""
    return np.frombuffer(reply.vectors, "<f4").reshape(-1, reply.dimensions)


def hashed(*texts: str) -> NDArray[np.float32]:
    """What a `Session` answers, unless it is told otherwise."""
    return _core.hash_embed(texts, DIMENSIONS)


def spelt(ids: NDArray[np.int64]) -> str:
    """The text of these tokens."""
    pieces = [PIECES[index] for index in ids if index >= len(SPECIAL)]
    return "".join(piece[2:] if piece.startswith("##") else f" {piece}" for piece in pieces).strip()


def eventually(check: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """What `check` returns once it is not false: for states that nothing announces."""
    patience = threading.Event()
    for _ in range(int(patience_s / 0.01)):
        if found := check():
            return found
        patience.wait(0.01)
    raise AssertionError("it did not happen")


class Session:
    """A session of a model: notes the texts it runs, and runs them only while its gate is open."""

    def __init__(self, answer: Callable[..., Any] = hashed) -> None:
        self.answer = answer
        self.ran: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self._begun: SimpleQueue[str] = SimpleQueue()

    def __call__(self, ids: NDArray[np.int64], mask: NDArray[np.int64], types: NDArray[np.int64]) -> Any:
        texts = [spelt(row[seen == 1]) for row, seen in zip(ids, mask, strict=True)]
        self.ran += texts
        for text in texts:
            self._begun.put(text)
        assert self.gate.wait(PATIENCE_S), "nobody opened the gate"
        return self.answer(*texts)

    def next(self) -> str:
        """The next text it has begun to run."""
        return self._begun.get(timeout=PATIENCE_S)


@dataclass(frozen=True)
class Model:
    """A model's configuration, and the sessions that run it."""

    config: dict[str, Any]
    sessions: tuple[Callable[..., Any], ...] = ()

    def core(self) -> dict[str, Any]:
        """As the core reads it."""
        return _told(self.config)


@dataclass(frozen=True)
class Writer:
    """A generating model's configuration; the test takes its jobs from the inbox and answers them."""

    config: dict[str, Any]
    inbox: _core.Inbox = field(default_factory=_core.Inbox)

    def core(self) -> dict[str, Any]:
        """As the core reads it."""
        return _told(self.config)

    def next(self) -> _core.Job:
        """The next job."""
        job = self.inbox.take(PATIENCE_S)
        assert job, "no job came"
        return job


IDENTITY = ("name", "version", "backend", "tags", "tier", "max_tokens", "cost_per_1k_tokens_usd", "quality")


def _told(config: dict[str, Any]) -> dict[str, Any]:
    identity = {key: value for key, value in config.items() if key in IDENTITY}
    return {"identity": identity} | {key: value for key, value in config.items() if key not in IDENTITY}


@dataclass(frozen=True)
class Failure:
    """What a failed call was told."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    retry_after_s: float | None = None

    @classmethod
    def of(cls, error: grpc.RpcError) -> Failure:
        trailers = dict(error.trailing_metadata() or ())
        status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        quota = error_details_pb2.QuotaFailure()
        found = [detail.Unpack(each) for detail in status.details for each in (info, bad, retry, quota)]
        assert sum(found) == len(status.details), status
        return cls(
            error.code(),
            error.details(),
            info.reason.removeprefix("ERROR_REASON_"),
            dict(info.metadata),
            tuple(violation.field for violation in bad.field_violations),
            retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None,
        )


class Node:
    """A running worker or router, and a client of it."""

    def __init__(self, name: str, core: Any) -> None:
        self.name = name
        self.core = core
        self.address: str = core.start()
        self.channel = self.dial()

    def dial(self) -> grpc.Channel:
        """A connection of its own."""
        options = [
            ("grpc.default_authority", "localhost"),
            ("grpc.enable_retries", 0),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", -1),
        ]
        return grpc.insecure_channel(self.address, options)

    def close(self) -> None:
        self.channel.close()
        self.core.drain(0.0)

    def drain(self, timeout_s: float) -> Future[bool]:
        """Asks it to end, on a thread of its own."""
        pool = ThreadPoolExecutor(1)
        drained = pool.submit(self.core.drain, timeout_s)
        pool.shutdown(wait=False)
        return drained

    def start(self, request: Message, timeout: float | None = PATIENCE_S, **options: Any) -> Any:
        """Sends a call without waiting for its answer; the request's type says which."""
        path, reply = RPCS[type(request)]
        return self.send(path, request.SerializeToString(), reply.FromString, timeout, **options)

    def call(self, request: Message, timeout: float | None = PATIENCE_S) -> Any:
        """The answer to a call."""
        return self.start(request, timeout).result()

    def failure(self, request: Message, timeout: float | None = PATIENCE_S) -> Failure:
        """What a call is told that must fail."""
        return failure(self.start(request, timeout))

    def send(
        self,
        path: str,
        message: bytes,
        parse: Callable[[bytes], Any] | None = None,
        timeout: float | None = PATIENCE_S,
        **options: Any,
    ) -> Any:
        """Sends bytes as they are."""
        return self.channel.unary_unary(f"/waypost.v1.{path}", None, parse).future(message, timeout, **options)

    def stream(self, requests: Iterator[embed_pb2.EmbedRequest], timeout: float | None = PATIENCE_S) -> Any:
        """An EmbedStream of these."""
        messages = (embed_pb2.EmbedStreamRequest(request=request) for request in requests)
        return embed_pb2_grpc.EmbedServiceStub(self.channel).EmbedStream(messages, timeout=timeout)

    def health(self, name: str = "") -> str:
        """What Check says of a name."""
        request = health_pb2.HealthCheckRequest(service=name)
        return _word(health_pb2_grpc.HealthStub(self.channel).Check(request, timeout=PATIENCE_S))

    def watch(self, name: str = "") -> Iterator[str]:
        """What Watch says of a name, as it changes."""
        request = health_pb2.HealthCheckRequest(service=name)
        return map(_word, health_pb2_grpc.HealthStub(self.channel).Watch(request, timeout=PATIENCE_S))

    def described(self) -> mesh_pb2.DescribeInstanceResponse:
        """What it says of itself."""
        return self.call(mesh_pb2.DescribeInstanceRequest())

    def waiting(self) -> int:
        """Texts inside a worker, or calls inside a router."""
        return self.described().queue_depth

    def status(self) -> dict[str, Any]:
        """A router's status."""
        return json.loads(self.core.status())

    def instance(self, name: str) -> dict[str, Any]:
        """An instance as a router sees it."""
        return next((each for each in self.status()["instances"] if each["instance"] == name), {})


def failure(call: Any) -> Failure:
    """How a started call failed."""
    try:
        answer = call.result()
    except grpc.RpcError as error:
        return Failure.of(error)
    raise AssertionError(f"it was answered: {answer!r:.200}")


def _word(reply: health_pb2.HealthCheckResponse) -> str:
    return health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)


class Plane:
    """Makes models, workers and routers; leaving it ends all of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._exit = ExitStack()

    def __enter__(self) -> Plane:
        return self

    def __exit__(self, *error: object) -> None:
        self._exit.close()

    def hash_model(self, name: str = "hash", **config: Any) -> Model:
        """A model of hash vectors, which needs no session."""
        kind = {"version": "1", "backend": "hash", "kind": "hash", "dimensions": DIMENSIONS}
        return Model({"name": name, **kind, **config})

    def model(self, *sessions: Callable[..., Any], name: str = "m", **config: Any) -> Model:
        """An encoder, unless `kind` says otherwise."""
        kind = {"version": "1", "backend": "fake", "kind": "encoder", "dimensions": DIMENSIONS, "max_tokens": 32}
        return Model({"name": name, **kind, "tokenizer": str(self.tokenizer()), **config}, sessions)

    def writer(self, name: str = "w", **config: Any) -> Writer:
        """A generating model with one slot and room for one more."""
        room = {"slots": 1, "queue_limit": 1, "default_max_tokens": 16}
        return Writer({"name": name, "version": "1", "backend": "fake", "max_tokens": 64, **room, **config})

    def tokenizer(self) -> Path:
        """A tokenizer file with a token for each letter."""
        path = self.folder / "tokenizer.json"
        path.write_text(json.dumps(tokenizer_file()))
        return path

    def head(self, name: str = "mood", labels: tuple[str, ...] = ("glad", "sad"), **parts: Any) -> dict[str, str]:
        """A head file and its entry in a model's `heads`; it reads the vector, but by default the bias decides."""
        path = self.folder / f"{name}.safetensors"
        default = {
            "bias": np.arange(len(labels), 0, -1, dtype=np.float32),
            "matrices": {"weight": np.zeros((len(labels), DIMENSIONS), np.float16)},
        }
        Head(**{"name": name, "version": "1", "labels": labels, **default, **parts}).save(path)
        return {"name": name, "path": str(path)}

    def worker(
        self, *models: Model | Writer, name: str = "w", limits: dict[str, int] | None = None, **config: Any
    ) -> Node:
        """A running worker."""
        settings = {"instance": name, "listen": f"unix:{self.folder}/{name}.sock", "version": "0.1.0"}
        readers = [model for model in models if isinstance(model, Model)]
        writers = [model for model in models if isinstance(model, Writer)]
        served = {"models": [each.core() for each in readers], "generators": [each.core() for each in writers]}
        settings |= {"limits": LIMITS | (limits or {})} | served | config
        sessions = {model.config["name"]: list(model.sessions) for model in readers if model.sessions}
        inboxes = {model.config["name"]: model.inbox for model in writers}
        node = self._node(name, _core.Worker(json.dumps(settings), sessions, inboxes))
        for session in [each for model in readers for each in model.sessions if isinstance(each, Session)]:
            self._exit.callback(session.gate.set)
        return node

    def router(self, *workers: Node | FakeMesh, **config: Any) -> Node:
        """A running router, once all its instances are ready."""
        addresses = [worker.address for worker in workers]
        settings = {"instance": "router", "version": "0.1.0", "listen": f"unix:{self.folder}/router.sock"}
        settings["cache"] = {"enabled": False}
        node = self._node("router", _core.Router(json.dumps(settings | {"instances": addresses, **config})))
        becomes(node, *["ready"] * len(workers))
        return node

    def fake(
        self,
        name: str,
        answer: Callable[..., Any],
        model: str = "m",
        tasks: Sequence[mesh_pb2.Task] = (mesh_pb2.TASK_EMBED,),
    ) -> FakeMesh:
        """A worker whose Embed is `answer`."""
        fake = FakeMesh(f"unix:{self.folder}/{name}.sock")
        info = mesh_pb2.ModelInfo(name=model, version="1", backend="fake", tasks=tasks)
        described = mesh_pb2.DescribeInstanceResponse(instance=name, models=[info])
        fake.answers |= {"DescribeInstance": lambda request, context: described, "Embed": answer}
        fake.health.set("", health_pb2.HealthCheckResponse.SERVING)
        server = fake.serve()
        self._exit.callback(lambda: server.stop(grace=None).wait())
        return fake

    def _node(self, name: str, core: Any) -> Node:
        node = Node(name, core)
        self._exit.callback(node.close)
        return node


def states(router: Node) -> list[str]:
    """How a router finds its instances."""
    return [each["state"] for each in router.status()["instances"]]


def becomes(router: Node, *wanted: str) -> None:
    """Returns once a router finds its instances in these states."""
    eventually(lambda: states(router) == list(wanted))


def tokenizer_file() -> dict[str, Any]:
    special = [
        {"id": index, "content": token, "special": True, "normalized": False}
        | dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
        for index, token in enumerate(SPECIAL)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {piece: index for index, piece in enumerate(PIECES)},
        },
    }
