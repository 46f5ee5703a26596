"""GET /metrics: what Prometheus reads of the gateway itself, and of the instances as the router sees them.

Labels are bounded: paths are those of the table, statuses those of HTTP.  Instances are listed with the key that the
scrape brings; where that does not do, the gateway's own figures are there all the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator

from grpc.aio import AioRpcError
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from router.http.exchange import Exchange
from router.http.failure import Failure
from router.http.mesh import instances
from router.http.reply import Reply
from waypost.results import InstanceStatus

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
Done = Callable[[int, float], None]


class Meter:
    """Counts the gateway's requests."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "waypost_http_requests", "Requests answered.", ("path", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "waypost_http_request_seconds",
            "From a request to its end.",
            ("path",),
            registry=self.registry,
            buckets=SECONDS,
        )
        self._in_flight = Gauge("waypost_http_in_flight", "Requests under way.", registry=self.registry)

    def watch(self, inside: Callable[[], float]) -> None:
        """Where to look for the requests under way."""
        self._in_flight.set_function(inside)

    def of(self, path: str) -> Done:
        """Takes down status and seconds of a request of `path`; its children are looked up once."""
        seconds, counters = self._seconds.labels(path), {}

        def done(status: int, elapsed: float) -> None:
            if status not in counters:
                counters[status] = self._requests.labels(path, str(status))
            counters[status].inc()
            seconds.observe(elapsed)

        return done


class Instances(Collector):
    """Figures of instances, as a registry collects them."""

    def __init__(self, found: Iterable[InstanceStatus] | None) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("waypost_router_up", "Whether the router told of its instances.")
        up.add_metric([], float(self._found is not None))
        yield up
        for name, text, value in GAUGES:
            yield self._family(GaugeMetricFamily(name, text, labels=["instance"]), value)
        for name, text, value in COUNTERS:
            yield self._family(CounterMetricFamily(name, text, labels=["instance"]), value)

    def _family(
        self, family: GaugeMetricFamily | CounterMetricFamily, value: Callable[[InstanceStatus], float]
    ) -> Metric:
        for each in self._found or ():
            family.add_metric([each.instance], value(each))
        return family


GAUGES: tuple[tuple[str, str, Callable[[InstanceStatus], float]], ...] = (
    ("tsa_instance_queue_depth", "Calls of the router under way at an instance.", lambda each: each.in_flight),
    ("waypost_instance_ready", "Whether an instance takes calls.", lambda each: each.state == "ready"),
    ("waypost_instance_latency_seconds", "Moving average, sensitive to peaks.", lambda each: each.latency_ewma),
    ("waypost_instance_latency_p95_seconds", "95th percentile.", lambda each: each.latency_p95),
    ("waypost_instance_success_ratio", "Share of calls that succeeded lately.", lambda each: each.success_rate),
)
COUNTERS: tuple[tuple[str, str, Callable[[InstanceStatus], float]], ...] = (
    ("waypost_instance_requests", "Calls sent to an instance.", lambda each: each.requests),
    ("waypost_instance_failures", "Calls that failed at an instance.", lambda each: each.failures),
)


def scraped(meter: Meter) -> Callable[[Exchange, None], Awaitable[Reply]]:
    """The endpoint."""

    async def metrics(exchange: Exchange, ask: None) -> Reply:
        """Figures for Prometheus."""
        fresh = CollectorRegistry()
        fresh.register(Instances(await _instances(exchange)))
        return Reply(generate_latest(meter.registry) + generate_latest(fresh), content_type=CONTENT_TYPE)

    return metrics


async def _instances(exchange: Exchange) -> tuple[InstanceStatus, ...] | None:
    try:
        return await instances(exchange)
    except (AioRpcError, Failure):
        return None
