"""GET /metrics: the gateway's own figures and those of the whole mesh, by one collector.

The router is asked with the key that the scrape brings.  Where it does not answer in time, or not to that key, the
gateway's own figures are there all the same, beside `waypost_router_up 0`.

A mesh of ten workers with ten models has 16,000 samples, which take 150 ms to write: a thread does it, one scrape at a
time, and the event loop has its turn every half millisecond (see `service.SWITCH_S`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import accumulate
from typing import Any

from grpc.aio import AioRpcError
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Exemplar, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.exposition import ALLOWUTF8
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from router.http.exchange import Exchange
from router.http.failure import Failure
from router.http.metrics import Meter
from router.http.reply import Reply
from waypost.v1 import mesh_pb2, metrics_pb2

PATIENCE_S = 5.0
"""How long the router may take; a scrape that says how long Prometheus waits gives half of it."""
Scraped = Callable[[Exchange, None], Awaitable[Reply]]


class Mesh(Collector):
    """The gateway's own registry, and what the router told; None: it did not."""

    def __init__(self, own: CollectorRegistry, families: Iterable[metrics_pb2.MetricFamily] | None) -> None:
        self._own = own
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._own.collect()
        told = float(self._families is not None)
        yield GaugeMetricFamily("waypost_router_up", "Whether the router told its figures.", told)
        for each in self._families or ():
            if kind := KINDS.get(each.type):
                yield kind(each)


def _counter(of: metrics_pb2.MetricFamily) -> Metric:
    made = CounterMetricFamily(of.name, of.help, labels=of.labels)
    for each in of.series:
        made.add_metric(each.values, each.value)
    return made


def _gauge(of: metrics_pb2.MetricFamily) -> Metric:
    made = GaugeMetricFamily(of.name, of.help, labels=of.labels)
    for each in of.series:
        made.add_metric(each.values, each.value)
    return made


def _histogram(of: metrics_pb2.MetricFamily) -> Metric:
    made = HistogramMetricFamily(of.name, of.help, labels=of.labels)
    ends = [*map(floatToGoString, of.bounds), "+Inf"]
    for each in of.series:
        shown = {found.bucket: _exemplar(found) for found in each.exemplars}
        sums = enumerate(accumulate(each.buckets))
        buckets: list[Any] = [(ends[i], so_far, shown.get(i)) for i, so_far in sums]
        made.add_metric(each.values, buckets, each.value)
    return made


def _exemplar(of: metrics_pb2.Exemplar) -> Exemplar:
    return Exemplar({"trace_id": of.trace_id}, of.value, of.time.ToMilliseconds() / 1e3)


KINDS: dict[int, Callable[[metrics_pb2.MetricFamily], Metric]] = {
    metrics_pb2.METRIC_TYPE_COUNTER: _counter,
    metrics_pb2.METRIC_TYPE_GAUGE: _gauge,
    metrics_pb2.METRIC_TYPE_HISTOGRAM: _histogram,
}


def scraped(meter: Meter) -> Scraped:
    """The endpoint."""
    writer = ThreadPoolExecutor(1, "scrape")

    async def metrics(exchange: Exchange, ask: None) -> Reply:
        """Figures for Prometheus, of the gateway and of the whole mesh."""
        told = await _told(exchange)
        accepted = exchange.headers.get(b"accept", b"").decode("latin-1")
        return await asyncio.get_running_loop().run_in_executor(writer, written, meter.registry, told, accepted)

    return metrics


def written(own: CollectorRegistry, told: bytes | None, accepted: str) -> Reply:
    """The figures in the form that is accepted: text, or OpenMetrics, which has exemplars."""
    families = None if told is None else mesh_pb2.GetMetricsResponse.FromString(told).families
    encode, kind = choose_encoder(accepted)
    if isinstance(encode, partial):  # Our names need no escape, which would be looked for letter by letter.
        encode = partial(encode, escaping=ALLOWUTF8)
    return Reply(encode(Mesh(own, families)), content_type=kind.encode())


async def _told(exchange: Exchange) -> bytes | None:
    """GetMetricsResponse as it came: a large one is better read in the thread as well."""
    try:
        stub, request = exchange.upstream.metrics, mesh_pb2.GetMetricsRequest()
        found: bytes = await exchange.call(stub, request, _patience(exchange.headers))
    except (AioRpcError, Failure):
        return None
    return found


def _patience(headers: dict[bytes, bytes]) -> float:
    try:
        given = float(headers[b"x-prometheus-scrape-timeout-seconds"])
    except (KeyError, ValueError):
        return PATIENCE_S
    return given / 2 if 0 < given <= 60 else PATIENCE_S
