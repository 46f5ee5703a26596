"""GET /healthz and /readyz against a fake mesh."""

from __future__ import annotations

from pathlib import Path

from grpc_health.v1 import health_pb2

from tests.fake_mesh import FakeMesh
from tests.gateway import Gateway

States = health_pb2.HealthCheckResponse


def test_ready_is_who_has_a_mesh_that_serves(mesh: FakeMesh, gateway: Gateway) -> None:
    """Alive, it is in any case."""
    mesh.health.set("", States.SERVING)
    assert gateway.get("/readyz").json() == {"status": "ok"}
    mesh.health.set("", States.NOT_SERVING)
    refused = gateway.get("/readyz")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert gateway.get("/healthz").json() == {"status": "ok"}


def test_without_a_router_it_is_not_ready(tmp_path: Path) -> None:
    """And calls are told to come back."""
    with Gateway(f"unix:{tmp_path}/nobody") as gateway:
        assert gateway.get("/readyz").status_code == 503
        refused = gateway.post("/v1/embeddings", {"input": "a"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
