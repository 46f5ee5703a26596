"""GET /healthz, whether this process lives, and /readyz, whether the mesh behind it serves."""

from __future__ import annotations

from typing import Literal

from grpc.aio import AioRpcError
from grpc_health.v1 import health_pb2
from typing_extensions import TypedDict

from router.http.exchange import Exchange
from router.http.failure import Failure

PATIENCE_S = 2.0


class Health(TypedDict):
    """Whether it serves."""

    status: Literal["ok"]


async def healthz(exchange: Exchange, ask: None) -> Health:
    """Whether this process lives."""
    return {"status": "ok"}


async def readyz(exchange: Exchange, ask: None) -> Health:
    """Whether the mesh serves; nobody needs a key to ask."""
    try:
        found = await exchange.upstream.health(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)
    except AioRpcError as error:
        raise _away(f"the router does not answer: {error.details()}") from None
    if found.status != health_pb2.HealthCheckResponse.SERVING:
        raise _away("no instance of the mesh is ready")
    return {"status": "ok"}


def _away(message: str) -> Failure:
    return Failure(503, message, "unavailable", kind="server_error", headers={"retry-after": "1"})
