"""How the mesh fares and decides: /api/intelligent-route, /api/routing-metrics, /api/capacity-status."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from router.http.exchange import Exchange
from router.http.hints import Hints, route
from router.http.models import known
from router.http.shape import Ask, Model
from waypost import _control, _replies, control, results
from waypost.v1 import mesh_pb2

NAMES = {"route": "waypost"}
TaskName = Literal["generate", "embed", "classify", "rerank"]
TASKS: dict[str, int] = {
    name: mesh_pb2.Task.Value(f"TASK_{name.upper()}") for name in ("generate", "embed", "classify", "rerank")
}


class RouteRequest(Ask):
    """A request that is not sent anywhere."""

    text: str
    """What would be asked."""
    model: Model = ""
    task: TaskName = "generate"
    head: Annotated[str, Field(max_length=256)] = ""
    """Of classify: the label set."""
    max_tokens: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Of generate: most tokens of the answer; 0: the model's default."""
    waypost: Hints | None = None


class InstanceMetrics(TypedDict):
    """How an instance fares, as the router sees it."""

    instance_id: str
    address: str
    state: str
    models: list[str]
    tags: list[str]
    active_sessions: int
    requests: int
    failures: int
    success_rate: float
    avg_latency_ms: float
    p95_latency_ms: float


class RoutingMetrics(TypedDict):
    """Of every instance."""

    instances: list[InstanceMetrics]


class ModelCapacity(TypedDict):
    """What can be asked of a model now; `slots` is the sum over its instances, 0 where that is not limited."""

    model: str
    instances: int
    ready: int
    slots: int


class Capacity(TypedDict):
    """How much the mesh can take: "ok", "degraded" (some instance is away), "saturated", or "down"."""

    status: Literal["ok", "degraded", "saturated", "down"]
    in_flight: int
    limit: int
    instances: dict[str, int]
    models: list[ModelCapacity]


async def intelligent_route(exchange: Exchange, ask: RouteRequest) -> control.Explanation:
    """Where a request would go now and why, without sending it there."""
    request = mesh_pb2.ExplainRequest(
        model=ask.model,
        route=route(exchange.headers, ask.waypost),
        task=TASKS[ask.task],  # type: ignore[arg-type]
        text=ask.text,
        head=ask.head,
        max_tokens=ask.max_tokens,
    )
    return _control.explanation(await exchange.call(exchange.upstream.explain, request))


async def routing_metrics(exchange: Exchange, ask: None) -> RoutingMetrics:
    """How each instance fares."""
    return {"instances": [_metrics(each) for each in await instances(exchange)]}


async def capacity_status(exchange: Exchange, ask: None) -> Capacity:
    """How much the mesh can take."""
    found = await instances(exchange)
    router = await exchange.call(exchange.upstream.instance, mesh_pb2.DescribeInstanceRequest())
    return {
        "status": _status([each.state for each in found], router.queue_depth, router.queue_limit),
        "in_flight": router.queue_depth,
        "limit": router.queue_limit,
        "instances": dict(Counter(each.state for each in found)),
        "models": [_capacity(each, found) for each in await known(exchange)],
    }


async def instances(exchange: Exchange) -> tuple[results.InstanceStatus, ...]:
    """What the router lists."""
    return _replies.instances(await exchange.call(exchange.upstream.instances, mesh_pb2.ListInstancesRequest()))


def _metrics(of: results.InstanceStatus) -> InstanceMetrics:
    return {
        "instance_id": of.instance,
        "address": of.address,
        "state": of.state,
        "models": list(of.models),
        "tags": list(of.tags),
        "active_sessions": of.in_flight,
        "requests": of.requests,
        "failures": of.failures,
        "success_rate": of.success_rate,
        "avg_latency_ms": of.latency_ewma * 1e3,
        "p95_latency_ms": of.latency_p95 * 1e3,
    }


def _status(states: list[str], depth: int, limit: int) -> Any:
    if "ready" not in states:
        return "down"
    if limit and depth >= limit:
        return "saturated"
    return "ok" if set(states) == {"ready"} else "degraded"


def _capacity(model: results.ModelInfo, found: tuple[results.InstanceStatus, ...]) -> ModelCapacity:
    serving = [each for each in found if model.name in each.models]
    ready = sum(each.state == "ready" for each in serving)
    return {"model": model.name, "instances": len(serving), "ready": ready, "slots": model.slots * ready}
