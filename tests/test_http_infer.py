"""POST /models/infer against a fake mesh."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.fake_mesh import FakeMesh
from tests.gateway import Gateway
from waypost.v1 import classify_pb2, common_pb2, embed_pb2, generate_pb2, mesh_pb2, rerank_pb2

PATH = "/models/infer"
SERVED = common_pb2.ServedBy(model="m")


@pytest.fixture(autouse=True)
def answers(mesh: FakeMesh) -> None:
    """A model that embeds first, and does the rest as well."""
    info = mesh_pb2.ModelInfo(name="m", tasks=[mesh_pb2.TASK_EMBED, mesh_pb2.TASK_CLASSIFY])
    row = np.ones(2, "<f4").tobytes()
    ranking = [rerank_pb2.RankedDocument(index=0, score=0.5)]
    replies = {
        "ListModels": mesh_pb2.ListModelsResponse(models=[info]),
        "Embed": embed_pb2.EmbedResponse(served=SERVED, dimensions=2, vectors=row),
        "Classify": classify_pb2.ClassifyResponse(served=SERVED, head="mood"),
        "Rerank": rerank_pb2.RerankResponse(served=SERVED, ranking=ranking),
        "Generate": generate_pb2.GenerateResponse(served=SERVED, text="yes"),
    }
    mesh.answers |= {name: lambda request, context, reply=reply: reply for name, reply in replies.items()}


@pytest.mark.parametrize(
    ("given", "options", "task"),
    [
        ("a text", {}, "embed"),
        (["a", "b"], {"task": "classify", "head": "mood"}, "classify"),
        ({"query": "q", "documents": ["d"]}, {"top_n": 1}, "rerank"),
        ([{"role": "user", "content": "hi"}], {"temperature": 0}, "generate"),
        ("hi", {"task": "generate", "max_tokens": 5}, "generate"),
    ],
)
def test_any_task_of_any_model(gateway: Gateway, given: Any, options: dict[str, Any], task: str) -> None:
    """As asked for, or as the input or the model has it; the answer is that of the task's own endpoint."""
    said = gateway.post(PATH, {"model_id": "m", "input": given, "options": options}).json()
    assert (said["model_id"], said["task"]) == ("m", task)
    assert said["output"] or task == "classify"


def test_options_are_those_of_the_task(mesh: FakeMesh, gateway: Gateway) -> None:
    """And are passed on."""
    options = {"task": "generate", "max_tokens": 5, "waypost": {"tier": "high"}}
    gateway.post(PATH, {"model_id": "m", "input": "hi", "options": options})
    assert (mesh.requests[-1].max_tokens, mesh.requests[-1].route.tier) == (5, common_pb2.TIER_HIGH)


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"model_id": "m", "input": "x", "options": {"task": "paint"}}, 400, "options.task"),
        ({"model_id": "m", "input": "x", "options": {"task": ["embed"]}}, 400, "options.task"),
        ({"model_id": "m", "input": "x", "options": {"frobnicate": 1}}, 400, "options.frobnicate"),
        ({"model_id": "m", "input": "x", "options": {"task": "generate", "stream": True}}, 400, "options.stream"),
        ({"model_id": "m", "input": "x", "options": {"task": "rerank"}}, 400, "input"),
        ({"model_id": "m", "input": {"query": "q", "documents": ["d"]}, "options": {"task": "embed"}}, 400, "input"),
        ({"model_id": "m", "input": ["a", "b"], "options": {"task": "generate"}}, 400, "input"),
        ({"input": "x"}, 400, "options.task"),
        ({"model_id": "other", "input": "x"}, 404, "model_id"),
    ],
)
def test_what_is_wrong_is_named(gateway: Gateway, body: dict[str, Any], status: int, param: str) -> None:
    """As `param`."""
    assert gateway.refused(PATH, body)[0] == status
    assert gateway.refused(PATH, body)[1]["param"] == param
