"""How a mesh fares, as its router tells: `status`, `history`, `decisions`, `metrics`.

    client.status().in_flight
    for point in client.history().points: ...

Frozen dataclasses; words and durations are as in `waypost.results`, moments are in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class ScoreWeights:
    """How much each term of the score counts; 0: not at all."""

    latency: float
    queue: float
    fit: float
    health: float
    feedback: float


@dataclass(frozen=True)
class CacheStatus:
    """The router's cache; of the `audited` answers to a prompt that means the same, `false_hits` were others.

    Of the hits, another router had asked for `shared_hits`.
    """

    hits: int
    near_hits: int
    misses: int
    bytes: int
    audited: int
    false_hits: int
    shared_hits: int = 0


@dataclass(frozen=True)
class TierStatus:
    """Share of the prompts that a tier is meant to get, and gets; 0 to 1."""

    tier: str
    target: float
    achieved: float


@dataclass(frozen=True)
class RouteShare:
    """How much of a route's calls a model answers, 0 to 1."""

    model: str
    share: float


@dataclass(frozen=True)
class RouteStatus:
    """A configured route."""

    name: str
    shares: tuple[RouteShare, ...]


@dataclass(frozen=True)
class RouterStatus:
    """A router at a glance.

    Attributes:
        policy: how replicas are chosen.
        max_in_flight: calls inside at once; more are refused.
        retry_budget: retries that may be made now.
        tiers: empty where no target is set.
        dropped_events: events that nobody took down in time.
        role: what this caller may do.
    """

    instance: str
    version: str
    started: datetime
    policy: str
    in_flight: int
    max_in_flight: int
    retry_budget: float
    weights: ScoreWeights
    log_level: str
    cache: CacheStatus
    tiers: tuple[TierStatus, ...]
    routes: tuple[RouteStatus, ...]
    dropped_events: int
    role: str


@dataclass(frozen=True)
class InstancePoint:
    """What happened at an instance in one second."""

    instance: str
    calls: int
    errors: int
    in_flight: int


@dataclass(frozen=True)
class HistoryPoint:
    """What happened in one second.

    Attributes:
        time: its end.
        calls: that ended; of these `errors` did not end with OK, and were not cancelled by their callers.
        latencies: how many took how long: see `History.bounds`.
        in_flight: at its end.
    """

    time: datetime
    calls: int
    errors: int
    latencies: tuple[int, ...]
    completion_tokens: int
    prompt_tokens: int
    cost_usd: float
    cache_hits: int
    in_flight: int
    instances: tuple[InstancePoint, ...]


@dataclass(frozen=True)
class History:
    """The last minutes, second by second; `bounds` are the upper ends of latency buckets; the last has none."""

    bounds: tuple[float, ...]
    points: tuple[HistoryPoint, ...]


@dataclass(frozen=True)
class Decision:
    """A line of the decision log; `number` counts from 1 while the router lives."""

    number: int
    line: dict[str, Any]


@dataclass(frozen=True)
class Exemplar:
    """A call that a bucket counts, and that was traced."""

    bucket: int
    value: float
    trace_id: str
    time: datetime


@dataclass(frozen=True)
class MetricSeries:
    """The values of one set of labels; of a histogram `value` is the sum, and each bucket counts for itself."""

    values: tuple[str, ...]
    value: float
    buckets: tuple[int, ...]
    created: datetime
    exemplars: tuple[Exemplar, ...]


@dataclass(frozen=True)
class MetricFamily:
    """Series of one name; `type` is "counter", "gauge" or "histogram", `bounds` are upper ends of its buckets."""

    name: str
    help: str
    type: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...]
    series: tuple[MetricSeries, ...]
