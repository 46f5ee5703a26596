"""GET /v1/models against a fake mesh."""

from __future__ import annotations

import openai
import pytest

from tests.fake_mesh import FakeMesh
from tests.gateway import Gateway
from waypost.v1 import mesh_pb2


@pytest.fixture(autouse=True)
def answer(mesh: FakeMesh) -> None:
    """Two models."""
    models = [mesh_pb2.ModelInfo(name="a", tasks=[mesh_pb2.TASK_EMBED], dimensions=8), mesh_pb2.ModelInfo(name="b@x")]
    mesh.answers["ListModels"] = lambda request, context: mesh_pb2.ListModelsResponse(models=models)


def test_models_are_listed(gateway: Gateway) -> None:
    """With what Waypost knows of them beside what OpenAI has."""
    client = gateway.openai()
    assert [each.id for each in client.models.list()] == ["a", "b@x"]
    (first, _) = gateway.get("/v1/models").json()["data"]
    assert (first["object"], first["owned_by"]) == ("model", "waypost")
    assert (first["waypost"]["tasks"], first["waypost"]["dimensions"]) == (["embed"], 8)


def test_one_model(gateway: Gateway) -> None:
    """By name."""
    assert gateway.openai().models.retrieve("b@x").id == "b@x"


def test_a_model_that_is_not_there(gateway: Gateway) -> None:
    """As OpenAI says it."""
    with pytest.raises(openai.NotFoundError) as caught:
        gateway.openai().models.retrieve("gpt-9")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
