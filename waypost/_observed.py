"""Protobuf requests and replies of `waypost.observed`, and of what operators change while a mesh runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from waypost import _fields as fields
from waypost._replies import changed_model, instance_status, word
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
from waypost.results import InstanceStatus, ModelInfo
from waypost.v1 import common_pb2, mesh_pb2, metrics_pb2


def get_history(after: datetime | None) -> mesh_pb2.GetHistoryRequest:
    return mesh_pb2.GetHistoryRequest(after=None if after is None else fields.timestamp("after", after))


def list_decisions(limit: int, after: int, request_id: str) -> mesh_pb2.ListDecisionsRequest:
    return mesh_pb2.ListDecisionsRequest(
        limit=fields.count("limit", limit),
        after=fields.count("after", after, fields.UINT64),
        request_id=fields.text("request_id", request_id),
    )


def drain_instance(name: str, drained: bool) -> mesh_pb2.DrainInstanceRequest:
    return mesh_pb2.DrainInstanceRequest(
        instance=fields.text("instance", name), drained=fields.flag("drained", drained)
    )


def pin_model(name: str, pinned: bool) -> mesh_pb2.PinModelRequest:
    return mesh_pb2.PinModelRequest(model=fields.text("model", name), pinned=fields.flag("pinned", pinned))


def set_weights(weights: ScoreWeights) -> mesh_pb2.SetWeightsRequest:
    return mesh_pb2.SetWeightsRequest(
        weights=mesh_pb2.ScoreWeights(
            latency=fields.number("weights.latency", weights.latency),
            queue=fields.number("weights.queue", weights.queue),
            fit=fields.number("weights.fit", weights.fit),
            health=fields.number("weights.health", weights.health),
            feedback=fields.number("weights.feedback", weights.feedback),
        )
    )


def set_log_level(level: str, name: str) -> mesh_pb2.SetLogLevelRequest:
    return mesh_pb2.SetLogLevelRequest(
        level=fields.enum("level", mesh_pb2.LogLevel, level), instance=fields.text("instance", name)
    )


def status(reply: mesh_pb2.GetStatusResponse) -> RouterStatus:
    return RouterStatus(
        reply.instance,
        reply.version,
        reply.started.ToDatetime(UTC),
        reply.policy,
        reply.in_flight,
        reply.max_in_flight,
        reply.retry_budget,
        _weights(reply.weights),
        word(mesh_pb2.LogLevel, reply.log_level),
        _cache(reply.cache),
        tuple(TierStatus(word(common_pb2.Tier, each.tier), each.target, each.achieved) for each in reply.tiers),
        tuple(_route(each) for each in reply.routes),
        reply.dropped_events,
        word(mesh_pb2.Role, reply.role),
    )


def _cache(cache: mesh_pb2.CacheStatus) -> CacheStatus:
    return CacheStatus(
        cache.hits, cache.near_hits, cache.misses, cache.bytes, cache.audited, cache.false_hits, cache.shared_hits
    )


def _route(route: mesh_pb2.RouteStatus) -> RouteStatus:
    return RouteStatus(route.name, tuple(RouteShare(each.model, each.share) for each in route.shares))


def _weights(weights: mesh_pb2.ScoreWeights) -> ScoreWeights:
    return ScoreWeights(weights.latency, weights.queue, weights.fit, weights.health, weights.feedback)


def history(reply: mesh_pb2.GetHistoryResponse) -> History:
    return History(tuple(reply.bounds), tuple(_point(each) for each in reply.points))


def _point(point: mesh_pb2.HistoryPoint) -> HistoryPoint:
    return HistoryPoint(
        point.time.ToDatetime(UTC),
        point.calls,
        point.errors,
        tuple(point.latencies),
        point.completion_tokens,
        point.prompt_tokens,
        point.cost_usd,
        point.cache_hits,
        point.in_flight,
        tuple(InstancePoint(each.instance, each.calls, each.errors, each.in_flight) for each in point.instances),
    )


def decisions(reply: mesh_pb2.ListDecisionsResponse) -> tuple[Decision, ...]:
    return tuple(Decision(each.number, json.loads(each.json)) for each in reply.decisions)


def metrics(reply: mesh_pb2.GetMetricsResponse) -> tuple[MetricFamily, ...]:
    return tuple(_family(each) for each in reply.families)


def _family(family: metrics_pb2.MetricFamily) -> MetricFamily:
    return MetricFamily(
        family.name,
        family.help,
        word(metrics_pb2.MetricType, family.type),
        tuple(family.labels),
        tuple(family.bounds),
        tuple(_series(each) for each in family.series),
    )


def _series(series: metrics_pb2.MetricSeries) -> MetricSeries:
    return MetricSeries(
        tuple(series.values),
        series.value,
        tuple(series.buckets),
        series.created.ToDatetime(UTC),
        tuple(Exemplar(each.bucket, each.value, each.trace_id, each.time.ToDatetime(UTC)) for each in series.exemplars),
    )


def drained_instance(reply: mesh_pb2.DrainInstanceResponse) -> InstanceStatus:
    return instance_status(reply.instance)


def pinned_model(reply: mesh_pb2.PinModelResponse) -> ModelInfo:
    return changed_model(reply)


def new_weights(reply: mesh_pb2.SetWeightsResponse) -> ScoreWeights:
    return _weights(reply.weights)


def told(reply: mesh_pb2.SetLogLevelResponse) -> tuple[str, ...]:
    return tuple(reply.instances)
