"""The calls that tell how a mesh fares, and those that change it while it runs, against a server of the contract."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tests.fake_mesh import FakeMesh
from waypost import errors
from waypost.observed import (
    CacheStatus,
    Decision,
    Exemplar,
    History,
    HistoryPoint,
    InstancePoint,
    MetricFamily,
    MetricSeries,
    RouterStatus,
    RouteShare,
    RouteStatus,
    ScoreWeights,
    TierStatus,
)
from waypost.v1 import common_pb2, mesh_pb2, metrics_pb2

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
WEIGHTS = ScoreWeights(1.0, 0.5, 0.25, 0.75, 0.0)


def moment() -> Timestamp:
    made = Timestamp()
    made.FromDatetime(NOON)
    return made


def test_a_status_has_cache_tiers_routes_and_weights(mesh: FakeMesh, client: Any) -> None:
    """All that the router says, as plain values."""
    mesh.answers["GetStatus"] = lambda request, context: mesh_pb2.GetStatusResponse(
        instance="router",
        version="1",
        started=moment(),
        policy="score",
        in_flight=2,
        max_in_flight=8,
        retry_budget=1.5,
        weights=mesh_pb2.ScoreWeights(latency=1, queue=0.5, fit=0.25, health=0.75),
        log_level=mesh_pb2.LOG_LEVEL_INFO,
        cache=mesh_pb2.CacheStatus(hits=1, near_hits=2, misses=3, bytes=4, audited=5, false_hits=6),
        tiers=[mesh_pb2.TierStatus(tier=common_pb2.TIER_HIGH, target=0.25, achieved=0.5)],
        routes=[mesh_pb2.RouteStatus(name="r", shares=[mesh_pb2.RouteShare(model="m", share=1)])],
        dropped_events=7,
        role=mesh_pb2.ROLE_OPERATE,
    )
    cache, tiers, routes = CacheStatus(1, 2, 3, 4, 5, 6), (TierStatus("high", 0.25, 0.5),), (RouteShare("m", 1.0),)
    assert client.status() == RouterStatus(
        "router",
        "1",
        NOON,
        "score",
        2,
        8,
        1.5,
        WEIGHTS,
        "info",
        cache,
        tiers,
        (RouteStatus("r", routes),),
        7,
        "operate",
    )


def test_history_is_asked_for_from_a_moment_on(mesh: FakeMesh, client: Any) -> None:
    """And comes point by point."""
    mesh.answers["GetHistory"] = lambda request, context: mesh_pb2.GetHistoryResponse(
        bounds=[0.5],
        points=[
            mesh_pb2.HistoryPoint(
                time=moment(),
                calls=3,
                errors=1,
                latencies=[2, 1],
                completion_tokens=4,
                prompt_tokens=5,
                cost_usd=0.5,
                cache_hits=1,
                in_flight=2,
                instances=[mesh_pb2.InstancePoint(instance="w-0", calls=3, errors=1, in_flight=1)],
            )
        ],
    )
    point = HistoryPoint(NOON, 3, 1, (2, 1), 4, 5, 0.5, 1, 2, (InstancePoint("w-0", 3, 1, 1),))
    assert client.history(NOON) == History((0.5,), (point,))
    assert mesh.requests[0].after.ToDatetime(UTC) == NOON
    client.history()
    assert not mesh.requests[1].HasField("after")
    with pytest.raises(errors.InvalidRequest, match="after is no moment in time"):
        client.history("noon")


def test_a_decision_is_a_line_of_the_log(mesh: FakeMesh, client: Any) -> None:
    """With its number, to ask on from there."""
    reply = mesh_pb2.ListDecisionsResponse(decisions=[mesh_pb2.Decision(number=9, json='{"code": "OK"}')])
    mesh.answers["ListDecisions"] = lambda request, context: reply
    assert client.decisions(5, after=8, request_id="r") == (Decision(9, {"code": "OK"}),)
    asked = mesh.requests[0]
    assert (asked.limit, asked.after, asked.request_id) == (5, 8, "r")


def test_metrics_come_as_families(mesh: FakeMesh, client: Any) -> None:
    """Of histograms with buckets and exemplars."""
    exemplar = metrics_pb2.Exemplar(bucket=1, value=0.75, trace_id="ab", time=moment())
    series = metrics_pb2.MetricSeries(values=["m"], value=1.5, buckets=[1, 2], created=moment(), exemplars=[exemplar])
    mesh.answers["GetMetrics"] = lambda request, context: mesh_pb2.GetMetricsResponse(
        families=[
            metrics_pb2.MetricFamily(
                name="x_seconds",
                help="X.",
                type=metrics_pb2.METRIC_TYPE_HISTOGRAM,
                labels=["model"],
                bounds=[0.5],
                series=[series],
            )
        ]
    )
    read = MetricSeries(("m",), 1.5, (1, 2), NOON, (Exemplar(1, 0.75, "ab", NOON),))
    assert client.metrics(own_only=True) == (MetricFamily("x_seconds", "X.", "histogram", ("model",), (0.5,), (read,)),)
    assert mesh.requests[0].own_only


def test_an_operator_drains_pins_weighs_and_sets_the_log_level(mesh: FakeMesh, client: Any) -> None:
    """Each answers with what is then."""
    mesh.answers["DrainInstance"] = lambda request, context: mesh_pb2.DrainInstanceResponse(
        instance=mesh_pb2.InstanceStatus(
            instance=request.instance,
            drained=request.drained,
            breaker=mesh_pb2.BREAKER_STATE_HALF_OPEN,
            ejections=2,
        )
    )
    mesh.answers["PinModel"] = lambda request, context: mesh_pb2.PinModelResponse(
        model=mesh_pb2.ModelInfo(name=request.model, pinned=request.pinned)
    )
    mesh.answers["SetWeights"] = lambda request, context: mesh_pb2.SetWeightsResponse(weights=request.weights)
    mesh.answers["SetLogLevel"] = lambda request, context: mesh_pb2.SetLogLevelResponse(instances=["router", "w-0"])
    drained = client.drain("w-0")
    assert (drained.instance, drained.drained, drained.breaker, drained.ejections) == ("w-0", True, "half_open", 2)
    assert not client.drain("w-0", False).drained
    assert client.pin("m").pinned
    assert not client.pin("m", False).pinned
    assert client.set_weights(WEIGHTS) == WEIGHTS
    assert client.set_log_level("debug", "w-0") == ("router", "w-0")
    assert mesh.requests[-1].level == mesh_pb2.LOG_LEVEL_DEBUG
    with pytest.raises(errors.InvalidRequest, match="level"):
        client.set_log_level("loud")
