"""POST /v1/rerank against a fake mesh."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fake_mesh import FakeMesh
from tests.gateway import Gateway
from waypost.v1 import common_pb2, rerank_pb2

PATH = "/v1/rerank"
BODY = {"model": "m", "query": "q", "documents": ["first", {"text": "second", "page": 7}]}


@pytest.fixture(autouse=True)
def answer(mesh: FakeMesh) -> None:
    """The second before the first."""
    ranking = [rerank_pb2.RankedDocument(index=1, score=0.5), rerank_pb2.RankedDocument(index=0, score=-0.5)]
    served = common_pb2.ServedBy(model="minilm")
    usage = [common_pb2.TextUsage(tokens=2), common_pb2.TextUsage(tokens=3)]
    reply = rerank_pb2.RerankResponse(ranking=ranking, method="exact", served=served, usage=usage)
    mesh.answers["Rerank"] = lambda request, context: reply


def test_documents_are_ranked(mesh: FakeMesh, gateway: Gateway) -> None:
    """Texts and objects with one; by place, best first."""
    said = gateway.post(PATH, BODY | {"top_n": 2}, X_Request_Id="r-1").json()
    assert said == {
        "id": "r-1",
        "model": "minilm",
        "results": [{"index": 1, "relevance_score": 0.5}, {"index": 0, "relevance_score": -0.5}],
        "usage": {"total_tokens": 5},
        "meta": {"method": "exact"},
    }
    assert mesh.requests == [rerank_pb2.RerankRequest(model="m", query="q", documents=["first", "second"], top_k=2)]


def test_documents_come_back_where_that_is_wanted(gateway: Gateway) -> None:
    """Objects with all that they had."""
    said = gateway.post(PATH, BODY | {"return_documents": True}).json()
    assert [each["document"] for each in said["results"]] == [{"text": "second", "page": 7}, {"text": "first"}]


@pytest.mark.parametrize(
    ("fields", "param"), [({"documents": []}, "documents"), ({"top_n": 0}, "top_n"), ({"query": None}, "query")]
)
def test_what_is_wrong_is_named(gateway: Gateway, fields: dict[str, Any], param: str) -> None:
    """As `param`."""
    status, error = gateway.refused(PATH, BODY | fields)
    assert (status, error["param"]) == (400, param)


def test_a_documents_own_numbers_come_back_whatever_their_size(gateway: Gateway) -> None:
    """JSON has no widest number."""
    wide = {"text": "a red car", "serial": 2**100}
    answered = gateway.post(PATH, BODY | {"documents": ["first", wide], "return_documents": True})
    assert answered.json()["results"][0]["document"] == wide
