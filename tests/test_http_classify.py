"""POST /v1/classify against a fake mesh."""

from __future__ import annotations

from tests.fake_mesh import FakeMesh
from tests.gateway import Gateway
from waypost.v1 import classify_pb2, common_pb2


def test_texts_are_labelled(mesh: FakeMesh, gateway: Gateway) -> None:
    """By a head, with what is out of scope."""
    labels = [classify_pb2.LabelScore(label="glad", score=0.75)]
    results = [classify_pb2.Classification(labels=labels), classify_pb2.Classification(out_of_scope=True)]
    usage = [common_pb2.TextUsage(tokens=2), common_pb2.TextUsage(tokens=3)]
    served = common_pb2.ServedBy(model="minilm")
    reply = classify_pb2.ClassifyResponse(served=served, head="mood", results=results, usage=usage)
    mesh.answers["Classify"] = lambda request, context: reply
    body = {"model": "minilm", "input": ["a", "b"], "head": "mood", "top_k": 1, "threshold": 0.5}
    assert gateway.post("/v1/classify", body).json() == {
        "object": "list",
        "data": [
            {
                "object": "classification",
                "index": 0,
                "labels": [{"label": "glad", "score": 0.75}],
                "out_of_scope": False,
            },
            {"object": "classification", "index": 1, "labels": [], "out_of_scope": True},
        ],
        "model": "minilm",
        "head": "mood",
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }
    (request,) = mesh.requests
    assert (request.head, request.top_k, request.threshold, list(request.texts)) == ("mood", 1, 0.5, ["a", "b"])
