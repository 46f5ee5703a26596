"""What must not be sent, and files that must not be served: each has a clear error, and disturbs nothing else.

Every call here is made twice, straight to a worker and through a router: a client is told the same.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.message import Message

from tests.plane import (
    DIMENSIONS,
    Failure,
    Node,
    Plane,
    Session,
    classify,
    embed,
    eventually,
    failure,
    hashed,
    hints,
    rerank,
    vectors,
)
from waypost import _core
from waypost.v1 import embed_pb2, embed_pb2_grpc

Code = grpc.StatusCode
INVALID, NOT_FOUND, EXHAUSTED = Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.RESOURCE_EXHAUSTED
PRECONDITION, LATE = Code.FAILED_PRECONDITION, Code.DEADLINE_EXCEEDED

HUGE = "a" * 10_000_000
MANY = ["a"] * 100_000


@pytest.fixture
def session() -> Session:
    """The session of the model `m`."""
    return Session()


@pytest.fixture
def worker(plane: Plane, session: Session) -> Node:
    """A worker with an encoder of two heads, and the hash model."""
    heads = [plane.head("mood"), plane.head("intent")]
    return plane.worker(plane.model(session, heads=heads), plane.hash_model())


@pytest.fixture(params=["worker", "router"])
def server(request: pytest.FixtureRequest, plane: Plane, worker: Node) -> Iterator[Node]:
    """The worker, or a router before it; afterwards it must still answer."""
    node = worker if request.param == "worker" else plane.router(worker)
    yield node
    assert serves(node)


def serves(node: Node) -> bool:
    """Whether a good call is answered well."""
    return np.array_equal(vectors(node.call(embed("all", "is", "well", model="m"))), hashed("all", "is", "well"))


BAD: dict[str, tuple[Message, Code, str, str]] = {
    "no texts": (embed(), INVALID, "EMPTY_INPUT", "texts"),
    "nothing to classify": (classify(), INVALID, "EMPTY_INPUT", "texts"),
    "no documents": (rerank("q"), INVALID, "EMPTY_INPUT", "documents"),
    "nothing to count": (embed_pb2.CountTokensRequest(), INVALID, "EMPTY_INPUT", "texts"),
    "100,000 texts": (embed(*MANY), INVALID, "TOO_MANY_INPUTS", "texts"),
    "100,000 documents": (rerank("q", *MANY), INVALID, "TOO_MANY_INPUTS", "documents"),
    "a text of 10 MB": (embed("a", HUGE), INVALID, "TEXT_TOO_LARGE", "texts[1]"),
    "a document of 10 MB": (rerank("q", "a", HUGE), INVALID, "TEXT_TOO_LARGE", "documents[1]"),
    "a query of 10 MB": (rerank(HUGE, "a"), INVALID, "TEXT_TOO_LARGE", "query"),
    "a text over the model's tokens": (embed("a", "a" * 50, model="m"), INVALID, "TEXT_TOO_LONG", "texts[1]"),
    "a document over the model's tokens": (rerank("q", "a" * 50, model="m"), INVALID, "TEXT_TOO_LONG", "documents[0]"),
    "dimensions that the model has not": (embed("a", model="m", dimensions=8), INVALID, "INVALID_FIELD", "dimensions"),
    "too few dimensions": (embed("a", model="hash", dimensions=7), INVALID, "INVALID_FIELD", "dimensions"),
    "too many dimensions": (embed("a", model="hash", dimensions=65_537), INVALID, "INVALID_FIELD", "dimensions"),
    "more than a reply may hold": (
        embed(*["a"] * 1000, model="hash", dimensions=65_536),
        INVALID,
        "INVALID_FIELD",
        "dimensions",
    ),
    "a threshold that is no number": (
        classify("a", head="mood", threshold=math.nan),
        INVALID,
        "INVALID_FIELD",
        "threshold",
    ),
    "a negative threshold": (classify("a", head="mood", threshold=-0.1), INVALID, "INVALID_FIELD", "threshold"),
    "a threshold over 1": (classify("a", head="mood", threshold=math.inf), INVALID, "INVALID_FIELD", "threshold"),
    "a truncation that does not exist": (embed("a", truncation=99), INVALID, "INVALID_FIELD", "truncation"),
    "a priority that does not exist": (
        embed("a", route=hints(priority=99)),
        INVALID,
        "INVALID_FIELD",
        "route.priority",
    ),
    "a cost limit that is no number": (
        embed("a", route=hints(max_cost_usd=math.nan)),
        INVALID,
        "INVALID_FIELD",
        "route.max_cost_usd",
    ),
    "a cost limit below nothing": (
        embed("a", route=hints(max_cost_usd=-1.0)),
        INVALID,
        "INVALID_FIELD",
        "route.max_cost_usd",
    ),
    "one head of two, unnamed": (classify("a", model="m"), INVALID, "INVALID_FIELD", "head"),
    "an unknown model": (embed("a", model="bert-xl"), NOT_FOUND, "MODEL_NOT_FOUND", ""),
    "an unknown label set": (classify("a", model="m", head="taste"), NOT_FOUND, "HEAD_NOT_FOUND", ""),
    "a task the model does not do": (classify("a", model="hash"), PRECONDITION, "NOT_CAPABLE", ""),
    "tokens of a model without": (
        embed_pb2.CountTokensRequest(texts=["a"], model="hash"),
        PRECONDITION,
        "NOT_CAPABLE",
        "",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_must_not_be_sent_is_refused_by_name(server: Node, session: Session, case: str) -> None:
    """Code, reason and field as the contract says, and no model is run."""
    request, code, reason, field = BAD[case]
    refused = server.failure(request)
    assert (refused.code, refused.reason) == (code, reason)
    assert refused.fields == ((field,) if field else ())
    assert refused.metadata.get("field", "") == field
    assert refused.retry_after_s is None, "it would end the same"
    assert session.ran == []


@pytest.mark.parametrize(
    ("request_", "limit", "actual"),
    [
        (embed(*MANY), "1024", "100000"),
        (embed(HUGE), "1048576", "10000000"),
        (embed("a" * 50, model="m"), "32", "52"),
    ],
    ids=["texts", "bytes", "tokens"],
)
def test_what_is_over_a_limit_is_told_the_limit(server: Node, request_: Message, limit: str, actual: str) -> None:
    """In the metadata for programs, in the message for people."""
    refused = server.failure(request_)
    assert (refused.metadata["limit"], refused.metadata["actual"]) == (limit, actual)
    assert limit in refused.message and actual in refused.message


def test_what_is_unknown_is_told_what_is_known(server: Node) -> None:
    """Models and label sets by their names."""
    model = server.failure(embed("a", model="bert-xl"))
    assert model.metadata == {"model": "bert-xl"}
    assert "hash, m" in model.message or "m, hash" in model.message
    head = server.failure(classify("a", model="m", head="taste"))
    assert head.metadata["head"] == "taste"
    assert sorted(head.metadata["known"].split(", ")) == ["intent", "mood"]


def test_an_empty_string_is_a_text(server: Node) -> None:
    """For every task, as query and as document; only an empty list is none."""
    assert vectors(server.call(embed("", "a", model="m"))).shape == (2, DIMENSIONS)
    assert not vectors(server.call(embed("", model="hash"))).any(), "it has no words to hash"
    assert len(server.call(classify("", head="mood")).results[0].labels) == 2
    assert len(server.call(rerank("", "a", "", model="m")).ranking) == 2


MALFORMED = {
    "invalid UTF-8 in a text": embed_pb2.EmbedRequest(model="m").SerializeToString() + b"\x1a\x02\xff\xfe",
    "invalid UTF-8 in the model": b"\x0a\x01\xff\x1a\x01a",
    "a message that ends too soon": b"\x1a\x7fabc",
    "bytes at random": b"\xff\xff\xff\xff",
    "a field of another type": b"\x18\x01",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_bytes_that_are_no_request_are_the_caller_s_fault(server: Node, case: str) -> None:
    """INVALID_ARGUMENT and not INTERNAL."""
    refused = failure(server.send("EmbedService/Embed", MALFORMED[case]))
    assert (refused.code, refused.reason) == (INVALID, "MALFORMED_REQUEST")


def test_a_request_of_no_bytes_is_one_without_texts(server: Node) -> None:
    """Protobuf has it so."""
    assert failure(server.send("EmbedService/Embed", b"")).reason == "EMPTY_INPUT"


def test_a_call_that_is_not_in_the_contract_is_unimplemented(server: Node) -> None:
    """As gRPC has it."""
    assert failure(server.send("EmbedService/Emboss", b"")).code is Code.UNIMPLEMENTED
    assert failure(server.send("NoService/Embed", b"")).code is Code.UNIMPLEMENTED


def test_a_compressed_request_is_refused_in_words(server: Node) -> None:
    """UNIMPLEMENTED, as the gRPC specification asks of a server that does not know the encoding."""
    message = embed("a" * 30).SerializeToString()
    refused = failure(server.send("EmbedService/Embed", message, compression=grpc.Compression.Gzip))
    assert refused.code is Code.UNIMPLEMENTED
    assert "compress" in refused.message.lower()


def test_a_message_over_the_receive_limit_is_refused(plane: Plane) -> None:
    """Before it is read, with the limit; by worker and router alike."""
    worker = plane.worker(plane.model(Session()), limits={"max_receive_bytes": 1000})
    for server in (worker, plane.router(worker, limits={"max_receive_bytes": 1000})):
        refused = server.failure(embed("a" * 2000))
        assert (refused.code, refused.reason) == (EXHAUSTED, "MESSAGE_TOO_LARGE")
        assert refused.metadata["limit"] == "1000"
        assert int(refused.metadata["actual"]) > 2000
        assert serves(server)


def test_a_large_message_later_in_a_stream_ends_that_stream(plane: Plane) -> None:
    """What came before is answered."""
    worker = plane.worker(plane.model(Session()), limits={"max_receive_bytes": 1000})
    for server in (worker, plane.router(worker)):
        replies = server.stream(embed(text) for text in ("good", "a" * 2000))
        assert np.array_equal(vectors(next(replies).response), hashed("good"))
        with pytest.raises(grpc.RpcError) as ended:
            next(replies)
        assert Failure.of(ended.value).reason == "MESSAGE_TOO_LARGE"
        assert serves(server)


def test_a_bad_request_in_a_stream_ends_it_with_its_error(server: Node) -> None:
    """Answers come in order, so the good one before it is there."""
    replies = server.stream(iter([embed("good", model="m"), embed(model="m")]))
    assert np.array_equal(vectors(next(replies).response), hashed("good"))
    with pytest.raises(grpc.RpcError) as ended:
        next(replies)
    assert Failure.of(ended.value).reason == "EMPTY_INPUT"


def test_an_empty_message_in_a_stream_is_named(server: Node) -> None:
    """The field `request` is missing."""
    stub = embed_pb2_grpc.EmbedServiceStub(server.channel)
    with pytest.raises(grpc.RpcError) as ended:
        next(stub.EmbedStream(iter([embed_pb2.EmbedStreamRequest()]), timeout=10.0))
    refused = Failure.of(ended.value)
    assert (refused.code, refused.reason, refused.fields) == (INVALID, "INVALID_FIELD", ("request",))


def test_a_deadline_of_a_millisecond_is_kept(server: Node, session: Session) -> None:
    """While the only session is held, nothing can be answered in time."""
    session.gate.clear()
    calls = [server.start(embed(f"text {index}", model="m"), timeout=0.001) for index in range(20)]
    assert {call.exception().code() for call in calls} == {LATE}
    session.gate.set()
    assert serves(server)
    eventually(lambda: server.waiting() == 0)


def test_a_client_that_leaves_disturbs_nobody(server: Node, session: Session) -> None:
    """Its connection breaks in the middle of its calls; another client's call goes on."""
    session.gate.clear()
    steady = server.start(embed("steady", model="m"))
    assert session.next() == "steady"
    leaver = server.dial()
    send = leaver.unary_unary("/waypost.v1.EmbedService/Embed")
    for text in ("some", "more", "texts"):
        send.future(embed(text, model="m").SerializeToString())
    leaver.close()
    session.gate.set()
    assert np.array_equal(vectors(steady.result()), hashed("steady"))
    assert serves(server)
    eventually(lambda: server.waiting() == 0)


# Files and addresses: told at the start


def cut(path: str) -> None:
    """Keeps the first half of a file."""
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: len(content) // 2])


def scribble(path: str) -> None:
    """Makes it another kind of file."""
    Path(path).write_bytes(b"This is a letter.\n")


def remove(path: str) -> None:
    Path(path).unlink()


@pytest.mark.parametrize("harm", [cut, scribble, remove], ids=["truncated", "another kind", "missing"])
@pytest.mark.parametrize("part", ["head", "tokenizer", "document_frequencies"])
def test_a_broken_file_is_named_before_anything_is_served(plane: Plane, part: str, harm: Callable[[str], None]) -> None:
    """ValueError with model and path; nobody listens."""
    head = plane.head()
    model = plane.model(Session(), heads=[head])
    path = head["path"] if part == "head" else model.config["tokenizer"]
    if part == "document_frequencies":
        path = str(plane.folder / "df.safetensors")
        Path(path).write_bytes(Path(head["path"]).read_bytes())
        model.config[part] = path
    harm(path)
    with pytest.raises(ValueError) as refused:
        plane.worker(model)
    assert path in str(refused.value)
    assert '"m"' in str(refused.value)
    assert not (plane.folder / "w.sock").exists()


def test_a_head_for_other_vectors_is_refused_at_the_start(plane: Plane) -> None:
    """With both dimensions."""
    head = plane.head(matrices={"weight": np.zeros((2, 5), np.float16)})
    with pytest.raises(ValueError, match=rf'"mood" is for vectors of 5, the model makes {DIMENSIONS}'):
        plane.worker(plane.model(Session(), heads=[head]))


@pytest.mark.parametrize(
    "lack",
    [{"tokenizer": None}, {"dimensions": 0}, {"kind": "sequence_classifier", "labels": []}],
    ids=["tokenizer", "dimensions", "labels"],
)
def test_a_model_that_lacks_a_part_is_refused_at_the_start(plane: Plane, lack: dict[str, Any]) -> None:
    """Not by the first call."""
    with pytest.raises(ValueError, match=r'"m" of kind .* needs'):
        plane.worker(plane.model(Session(), **lack))


def test_an_encoder_without_a_session_is_refused_at_the_start(plane: Plane) -> None:
    """Nothing could run its texts."""
    with pytest.raises(ValueError, match="at least one session"):
        plane.worker(plane.model())


@pytest.mark.parametrize("core", [lambda text: _core.Worker(text, {}), _core.Router], ids=["worker", "router"])
@pytest.mark.parametrize("text", ["", "{", "[]", '{"listen": 5}', '{"polciy": "score"}'])
def test_a_configuration_that_cannot_be_read_is_a_value_error(core: Callable[[str], Any], text: str) -> None:
    """Before anything is started."""
    with pytest.raises(ValueError):
        core(text)


def test_a_port_in_use_is_an_os_error_that_names_it(plane: Plane) -> None:
    """For worker and router, on ports and on Unix sockets; the one that has it goes on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=address):
            plane.worker(plane.hash_model(), listen=address)
        with pytest.raises(OSError, match=address):
            plane.router(listen=address)
    first = plane.worker(plane.model(Session()))
    with pytest.raises(OSError, match=r"w\.sock"):
        plane.worker(plane.model(Session()), listen=first.address)
    assert serves(first)


def test_a_socket_file_that_nobody_answers_on_is_replaced(plane: Plane) -> None:
    """A crash leaves it behind."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(plane.folder / "w.sock"))
    assert serves(plane.worker(plane.model(Session())))


def test_a_file_that_is_no_socket_is_left_alone(plane: Plane) -> None:
    """A wrong path in the configuration must not cost a file."""
    precious = plane.folder / "precious"
    precious.write_text("do not delete")
    with pytest.raises(OSError, match="precious"):
        plane.worker(plane.hash_model(), listen=f"unix:{precious}")
    assert precious.read_text() == "do not delete"
