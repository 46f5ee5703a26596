"""What the gateway refuses before it asks anybody: bodies too large, requests too many."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fake_mesh import FakeMesh
from tests.gateway import PATIENCE_S, Gateway
from waypost.v1 import embed_pb2

PATH = "/v1/embeddings"
JSON = {"content-type": "application/json"}
VECTOR = embed_pb2.EmbedResponse(dimensions=1, vectors=bytes(4))


@pytest.fixture
def small(mesh: FakeMesh) -> Iterator[Gateway]:
    """A gateway that takes 1,000 bytes a request, and two requests at a time."""
    with Gateway(mesh.address, max_body_bytes=1000, max_in_flight=2) as gateway:
        yield gateway


def body(size: int) -> bytes:
    """A request of so many bytes."""
    return b'{"input":"' + b"x" * (size - 12) + b'"}'


def test_a_body_of_the_limit_is_taken(mesh: FakeMesh, small: Gateway) -> None:
    """One byte more is not."""
    mesh.answers["Embed"] = lambda request, context: VECTOR
    assert small.client.post(PATH, content=body(1000), headers=JSON).status_code == 200
    refused = small.client.post(PATH, content=body(1001), headers=JSON)
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "body_too_large")


def test_a_body_in_pieces_is_counted_as_it_comes(mesh: FakeMesh, small: Gateway) -> None:
    """Without a length that says it before."""
    mesh.answers["Embed"] = lambda request, context: VECTOR
    pieces = (body(1000)[at : at + 100] for at in range(0, 1000, 100))
    assert small.client.post(PATH, content=pieces, headers=JSON).status_code == 200
    endless = (b"x" * 100 for _ in range(15))
    assert small.client.post(PATH, content=endless, headers=JSON).status_code == 413


def test_who_asks_before_sending_need_not_send(small: Gateway) -> None:
    """`Expect: 100-continue`, as curl does it."""
    host, port = small.url.removeprefix("http://").split(":")
    lines = ("Host: x", "Content-Type: application/json", "Content-Length: 100000000", "Expect: 100-continue")
    head = "\r\n".join((f"POST {PATH} HTTP/1.1", *lines, "", ""))
    with socket.create_connection((host, int(port)), PATIENCE_S) as line:
        line.sendall(head.encode())
        assert line.recv(1024).startswith(b"HTTP/1.1 413 ")


def test_one_request_too_many_is_told_to_come_back(mesh: FakeMesh, small: Gateway) -> None:
    """At once; health is answered all the same, and there is room again when one is done."""
    begun, go = threading.Semaphore(0), threading.Event()

    def slow(request: object, context: object) -> embed_pb2.EmbedResponse:
        begun.release()
        assert go.wait(PATIENCE_S)
        return VECTOR

    mesh.answers["Embed"] = slow
    with ThreadPoolExecutor(2) as pool:
        under_way = [pool.submit(small.post, PATH, {"input": "a"}) for _ in range(2)]
        assert all(begun.acquire(timeout=PATIENCE_S) for _ in range(2))
        refused = small.post(PATH, {"input": "a"})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.json()["error"]["code"] == "gateway_full"
        assert small.get("/healthz").status_code == 200
        go.set()
        assert [each.result().status_code for each in under_way] == [200, 200]
    assert small.post(PATH, {"input": "a"}).status_code == 200


def test_pages_of_other_origins(mesh: FakeMesh) -> None:
    """May call where the configuration says so."""
    with Gateway(mesh.address, cors_origins=("https://app.example",)) as gateway:
        asked = {"origin": "https://app.example", "access-control-request-method": "POST"}
        told = gateway.client.options(PATH, headers=asked)
        assert told.headers["access-control-allow-origin"] == "https://app.example"
        other = gateway.get("/healthz", Origin="https://evil.example")
        assert "access-control-allow-origin" not in other.headers
        mine = gateway.get("/healthz", Origin="https://app.example")
        assert "x-request-id" in mine.headers["access-control-expose-headers"].lower()
