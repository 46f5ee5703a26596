"""/api/intelligent-route, /api/routing-metrics, /api/capacity-status against a fake mesh."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration

from tests.fake_mesh import FakeMesh
from tests.gateway import Gateway
from waypost.v1 import common_pb2, mesh_pb2


def instance(name: str, state: int, in_flight: int = 0) -> mesh_pb2.InstanceStatus:
    """An instance of the model "m"."""
    return mesh_pb2.InstanceStatus(
        instance=name,
        address=f"unix:/{name}",
        state=state,  # type: ignore[arg-type]
        models=["m"],
        tags=["fast"],
        in_flight=in_flight,
        requests=10,
        failures=1,
        latency_ewma=Duration(nanos=2_500_000),
        latency_p95=Duration(nanos=8_000_000),
        success_rate=0.9,
    )


@pytest.fixture
def instances(mesh: FakeMesh) -> list[mesh_pb2.InstanceStatus]:
    """What the router lists: a test may change it."""
    found = [instance("w-0", mesh_pb2.INSTANCE_STATE_READY, 3)]
    described = mesh_pb2.DescribeInstanceResponse(queue_depth=3, queue_limit=64)
    mesh.answers |= {
        "ListInstances": lambda request, context: mesh_pb2.ListInstancesResponse(instances=found),
        "ListModels": lambda *_: mesh_pb2.ListModelsResponse(models=[mesh_pb2.ModelInfo(name="m", slots=8)]),
        "DescribeInstance": lambda request, context: described,
    }
    return found


def test_a_dry_run_says_where_and_why(mesh: FakeMesh, gateway: Gateway) -> None:
    """With the hints of any request."""
    explained = mesh_pb2.ExplainResponse(hops=[mesh_pb2.RouteHop(model="m", reason="tier")], cost_usd=0.25)
    explained.features.tier = common_pb2.TIER_HIGH
    mesh.answers["Explain"] = lambda request, context: explained
    body = {"text": "prove it", "task": "generate", "max_tokens": 9, "waypost": {"required_tags": ["code"]}}
    said = gateway.post("/api/intelligent-route", body).json()
    assert (said["hops"], said["cost_usd"]) == ([{"model": "m", "reason": "tier"}], 0.25)
    assert said["features"]["tier"] == "high"
    assert mesh.requests == [
        mesh_pb2.ExplainRequest(
            text="prove it",
            task=mesh_pb2.TASK_GENERATE,
            max_tokens=9,
            route=common_pb2.RouteHints(required_tags=["code"]),
        )
    ]


@pytest.mark.usefixtures("instances")
def test_metrics_of_instances(gateway: Gateway) -> None:
    """In milliseconds."""
    assert gateway.get("/api/routing-metrics").json()["instances"] == [
        {
            "instance_id": "w-0",
            "address": "unix:/w-0",
            "state": "ready",
            "models": ["m"],
            "tags": ["fast"],
            "active_sessions": 3,
            "requests": 10,
            "failures": 1,
            "success_rate": 0.9,
            "avg_latency_ms": 2.5,
            "p95_latency_ms": 8.0,
        }
    ]


def test_capacity(gateway: Gateway, instances: list[mesh_pb2.InstanceStatus]) -> None:
    """Degraded while an instance is away, down without any."""
    instances.append(instance("w-1", mesh_pb2.INSTANCE_STATE_EJECTED))
    said = gateway.get("/api/capacity-status").json()
    assert said == {
        "status": "degraded",
        "in_flight": 3,
        "limit": 64,
        "instances": {"ready": 1, "ejected": 1},
        "models": [{"model": "m", "instances": 2, "ready": 1, "slots": 8}],
    }
    del instances[0]
    assert gateway.get("/api/capacity-status").json()["status"] == "down"
