"""What operators change over HTTP, against a fake mesh."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from tests.fake_mesh import FakeMesh, failing
from tests.gateway import Gateway
from waypost.v1 import mesh_pb2

INSTANCE = mesh_pb2.InstanceStatus(instance="w-0", drained=True)
MODEL = mesh_pb2.ModelInfo(name="m", pinned=True)
WEIGHTS = {"latency": 1.0, "queue": 0.5, "fit": 0.0, "health": 2.0, "feedback": 0.25}
ROLLOUT = mesh_pb2.Rollout(
    name="n",
    stable="a",
    canary="b",
    steps=[0.5],
    state=mesh_pb2.ROLLOUT_STATE_ROLLED_BACK,
    reason="worse",
    revision=3,
    step_limit=Duration(seconds=1800),
)
BODY = {"name": "n", "stable": "a", "canary": "b", "steps": [0.5], "state": "rolled_back", "reason": "worse"}

ROWS: list[tuple[str, Any, str, Message, Message, dict[str, Any]]] = [
    (
        "instances/drain",
        {"instance": "w-0"},
        "DrainInstance",
        mesh_pb2.DrainInstanceRequest(instance="w-0", drained=True),
        mesh_pb2.DrainInstanceResponse(instance=INSTANCE),
        {"instance": "w-0", "drained": True},
    ),
    (
        "instances/drain",
        {"instance": "w-0", "drained": False},
        "DrainInstance",
        mesh_pb2.DrainInstanceRequest(instance="w-0"),
        mesh_pb2.DrainInstanceResponse(instance=mesh_pb2.InstanceStatus(instance="w-0")),
        {"instance": "w-0", "drained": False},
    ),
    (
        "models/pin",
        {"model": "m"},
        "PinModel",
        mesh_pb2.PinModelRequest(model="m", pinned=True),
        mesh_pb2.PinModelResponse(model=MODEL),
        {"name": "m", "pinned": True},
    ),
    (
        "models/load",
        {"model": "m"},
        "LoadModel",
        mesh_pb2.LoadModelRequest(model="m"),
        mesh_pb2.LoadModelResponse(model=MODEL),
        {"name": "m"},
    ),
    (
        "models/unload",
        {"model": "m"},
        "UnloadModel",
        mesh_pb2.UnloadModelRequest(model="m"),
        mesh_pb2.UnloadModelResponse(model=mesh_pb2.ModelInfo(name="m", unloaded=True)),
        {"name": "m", "unloaded": True},
    ),
    (
        "weights",
        WEIGHTS,
        "SetWeights",
        mesh_pb2.SetWeightsRequest(weights=mesh_pb2.ScoreWeights(**WEIGHTS)),
        mesh_pb2.SetWeightsResponse(weights=mesh_pb2.ScoreWeights(**WEIGHTS)),
        WEIGHTS,
    ),
    (
        "rollouts",
        BODY | {"revision": 3},
        "SetRollout",
        mesh_pb2.SetRolloutRequest(rollout=ROLLOUT),
        mesh_pb2.SetRolloutResponse(rollout=ROLLOUT),
        BODY | {"revision": 3, "step_limit": 1800.0},
    ),
    (
        "log-level",
        {"level": "debug"},
        "SetLogLevel",
        mesh_pb2.SetLogLevelRequest(level=mesh_pb2.LOG_LEVEL_DEBUG),
        mesh_pb2.SetLogLevelResponse(instances=["router", "w-0"]),
        {"instances": ["router", "w-0"]},
    ),
]


@pytest.mark.parametrize(("path", "body", "rpc", "asked", "answer", "told"), ROWS)
def test_what_is_asked_of_the_router(
    mesh: FakeMesh, gateway: Gateway, path: str, body: Any, rpc: str, asked: Message, answer: Message, told: Any
) -> None:
    """And what it says of it, by the names that the Python client has."""
    mesh.answers[rpc] = lambda request, context: answer
    reply = gateway.post(f"/api/{path}", body)
    assert reply.status_code == 200, reply.text
    assert {name: reply.json()[name] for name in told} == told
    assert mesh.requests == [asked]


def test_the_router_judges_who_may(mesh: FakeMesh, gateway: Gateway) -> None:
    """By the key that came along."""
    keys = []

    def judged(request: object, context: grpc.ServicerContext) -> None:
        keys.append(dict(context.invocation_metadata())["authorization"])
        failing(grpc.StatusCode.PERMISSION_DENIED, "role operate is needed")(request, context)

    mesh.answers["DrainInstance"] = judged
    status, error = gateway.refused("/api/instances/drain", {"instance": "w-0"}, authorization="Bearer wp_x")
    assert (status, error["type"], keys) == (403, "permission_error", ["Bearer wp_x"])


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("instances/drain", {"instance": ""}, "instance"),
        ("instances/drain", {"instance": "w-0", "drained": "yes"}, "drained"),
        ("weights", WEIGHTS | {"fit": -1}, "fit"),
        ("weights", {"latency": 1}, "queue"),
        ("rollouts", BODY | {"steps": [0.5, 0]}, "steps[1]"),
        ("rollouts", BODY | {"state": "paused"}, "state"),
        ("rollouts", BODY | {"revision": 2**32}, "revision"),
        ("log-level", {"level": "loud"}, "level"),
    ],
)
def test_what_is_wrong_is_named(mesh: FakeMesh, gateway: Gateway, path: str, body: Any, param: str) -> None:
    """Before the router is asked."""
    status, error = gateway.refused(f"/api/{path}", body)
    assert (status, error["param"], mesh.requests) == (400, param, [])


def test_a_page_from_elsewhere_cannot_steer(mesh: FakeMesh, gateway: Gateway) -> None:
    """A form of it says what it is, and is refused."""
    reply = gateway.client.post("/api/models/unload", content=b'{"model":"m"}', headers={"content-type": "text/plain"})
    assert (reply.status_code, mesh.requests) == (415, [])
