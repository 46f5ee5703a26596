"""`waypost drain`, `undrain`, `weights`, `models pin` and `unpin`."""

from __future__ import annotations

import json

import pytest

from tests.commands import Run
from tests.fake_mesh import FakeMesh
from waypost.v1 import mesh_pb2


@pytest.fixture(autouse=True)
def address(mesh: FakeMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake mesh is the one that is called."""
    monkeypatch.setenv("WAYPOST_ADDRESS", mesh.address)
    mesh.answers["DrainInstance"] = lambda request, context: mesh_pb2.DrainInstanceResponse(
        instance=mesh_pb2.InstanceStatus(
            instance=request.instance,
            drained=request.drained,
            in_flight=3,
            state=mesh_pb2.INSTANCE_STATE_READY,
        )
    )
    mesh.answers["PinModel"] = lambda request, context: mesh_pb2.PinModelResponse(
        model=mesh_pb2.ModelInfo(name=request.model, pinned=request.pinned)
    )
    weights = mesh_pb2.ScoreWeights(latency=1, queue=1, fit=1, health=1, feedback=1)
    mesh.answers["GetStatus"] = lambda request, context: mesh_pb2.GetStatusResponse(weights=weights)
    mesh.answers["SetWeights"] = lambda request, context: mesh_pb2.SetWeightsResponse(weights=request.weights)


def test_an_instance_is_drained_and_brought_back(run: Run, mesh: FakeMesh) -> None:
    """It says what is still under way, and how to undo it."""
    done = run("drain", "w-0")
    assert done.code == 0
    assert "3 calls are still under way" in done.out and "waypost undrain w-0" in done.out
    assert "w-0 is back, and ready" in run("undrain", "w-0").out
    assert [request.drained for request in mesh.requests] == [True, False]


def test_a_model_is_pinned_and_let_go(run: Run) -> None:
    """Also as JSON."""
    assert "m is pinned" in run("models", "pin", "m").out
    assert "m may be unloaded" in run("models", "unpin", "m").out
    assert json.loads(run("models", "pin", "m", "--json").out)["pinned"]


def test_weights_are_shown_and_those_that_are_named_are_changed(run: Run, mesh: FakeMesh) -> None:
    """The others stay as they are."""
    assert run("weights").out.count("1") == 5
    changed = json.loads(run("weights", "--queue", "0", "--fit", "0.5", "--json").out)
    assert changed == {"latency": 1, "queue": 0, "fit": 0.5, "health": 1, "feedback": 1}
    assert len(mesh.requests) == 3
    assert run("weights", "--fit", "-1").code == 2
