"""What the gateway counts of itself, in a registry of prometheus_client's; `scrape` shows it.

Labels are bounded: paths are those of the table, statuses those of HTTP.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.process_collector import ProcessCollector

# `_created` doubles the series of every counter and is one more gauge to Prometheus, which sees a restart by the fall.
disable_created_metrics()

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
Done = Callable[[int, float], None]


class Meter:
    """Counts the gateway's requests, if that is `wanted`."""

    def __init__(self, wanted: bool = True) -> None:
        self._wanted = wanted
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
        if not self._wanted:
            return _ignored
        seconds, counters = self._seconds.labels(path), {}

        def done(status: int, elapsed: float) -> None:
            if status not in counters:
                counters[status] = self._requests.labels(path, str(status))
            counters[status].inc()
            seconds.observe(elapsed)

        return done


def _ignored(status: int, elapsed: float) -> None:
    pass
