"""POST /v1/embeddings against a fake mesh."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from tests.fake_mesh import FakeMesh, trailing
from tests.gateway import Gateway
from waypost.v1 import common_pb2, embed_pb2

ROWS = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.1]], "<f4")


@pytest.fixture(autouse=True)
def answer(mesh: FakeMesh) -> None:
    """Two vectors, of 3 and 5 tokens."""
    reply = embed_pb2.EmbedResponse(dimensions=3, vectors=ROWS.tobytes())
    reply.served.CopyFrom(common_pb2.ServedBy(model="minilm", version="1", instance="w-0"))
    reply.usage.extend([common_pb2.TextUsage(tokens=3), common_pb2.TextUsage(tokens=5)])
    said = {"waypost-served-model": "minilm", "waypost-instance": "w-0", "waypost-request-id": "r"}
    mesh.answers["Embed"] = trailing(said, lambda request, context: reply)


def test_openais_client_gets_vectors(mesh: FakeMesh, gateway: Gateway) -> None:
    """Which it asks for in base64."""
    found = gateway.openai().embeddings.create(model="minilm", input=["a", "b"])
    assert np.allclose([each.embedding for each in found.data], ROWS)
    assert [each.index for each in found.data] == [0, 1]
    assert (found.model, found.usage.prompt_tokens, found.usage.total_tokens) == ("minilm", 8, 8)
    assert (mesh.requests[0].model, list(mesh.requests[0].texts)) == ("minilm", ["a", "b"])


def test_numbers_are_the_same_as_bytes(gateway: Gateway) -> None:
    """To the last bit of float32."""
    body = {"model": "minilm", "input": ["a", "b"]}
    numbers = gateway.post("/v1/embeddings", body).json()["data"]
    packed = gateway.post("/v1/embeddings", body | {"encoding_format": "base64"}).json()["data"]
    for number, text, row in zip(numbers, packed, ROWS, strict=True):
        assert np.array(number["embedding"], "<f4").tobytes() == row.tobytes()
        assert base64.b64decode(text["embedding"]) == row.tobytes()


def test_what_the_router_says_is_in_headers(gateway: Gateway) -> None:
    """But its request id, which is in `x-request-id`."""
    headers = gateway.post("/v1/embeddings", {"input": "a"}).headers
    assert {name: value for name, value in headers.items() if name.startswith("x-waypost")} == {
        "x-waypost-served-model": "minilm",
        "x-waypost-instance": "w-0",
    }


def test_one_text_and_dimensions(mesh: FakeMesh, gateway: Gateway) -> None:
    """Without a model, or with "auto", the router chooses."""
    gateway.post("/v1/embeddings", {"model": "auto", "input": "a", "dimensions": 256, "user": "u"})
    assert mesh.requests == [embed_pb2.EmbedRequest(texts=["a"], dimensions=256)]


@pytest.mark.parametrize("tokens", [[1, 2], [[1, 2]]])
def test_tokens_are_refused(gateway: Gateway, tokens: object) -> None:
    """They belong to another model."""
    status, error = gateway.refused("/v1/embeddings", {"model": "minilm", "input": tokens})
    assert (status, error["param"].partition("[")[0]) == (400, "input")
