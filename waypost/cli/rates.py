"""How much a second, and how long: read from a router's history and from two looks at its counters."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate

from waypost.observed import History, HistoryPoint, InstancePoint, MetricFamily, MetricSeries

KEPT = 900
"""Points of history, one a second: as many as a router keeps."""

LEVELS = "▁▂▃▄▅▆▇█"


def quantile(bounds: Sequence[float], counts: Sequence[int], q: float) -> float | None:
    """The value that a share `q` of what the buckets count does not exceed; None where they count nothing.

    Within a bucket values are taken to lie evenly, above the last bound at that bound: as Prometheus has it.
    """
    total = sum(counts)
    if not total:
        return None
    rank = q * total
    before, floors = 0.0, (0.0, *bounds)
    for index, (count, until) in enumerate(zip(counts, accumulate(counts), strict=True)):
        if until >= rank and count:
            low, high = floors[index], floors[min(index + 1, len(bounds))]
            return low + (high - low) * (rank - before) / count
        before = until
    return floors[-1]


def added(counts: Iterable[Sequence[int]]) -> list[int]:
    """Buckets of several, added."""
    return [sum(each) for each in zip(*counts, strict=True)]


def spark(values: Sequence[float], width: int) -> str:
    """The last `width` values as bars beside each other; the highest one is full, and nothing is no bar."""
    shown = list(values)[-width:] if width > 0 else []
    most = max(shown, default=0.0)
    bars = (LEVELS[max(round(each / most * len(LEVELS)), 1) - 1] if each > 0 else " " for each in shown)
    return "".join(bars).rjust(max(width, 0))


@dataclass
class Past:
    """What a router tells of the last minutes, kept from look to look.

    Attributes:
        window_s: rates are means over the last so many seconds.
    """

    window_s: int = 10
    bounds: tuple[float, ...] = ()
    points: deque[HistoryPoint] = field(default_factory=lambda: deque(maxlen=KEPT))

    @property
    def until(self) -> datetime | None:
        """The end of the last point."""
        return self.points[-1].time if self.points else None

    def add(self, news: History) -> None:
        """Points later than the last."""
        self.bounds = news.bounds
        self.points.extend(news.points)

    @property
    def recent(self) -> list[HistoryPoint]:
        """The points of the window."""
        if not self.until:
            return []
        begin = self.until - timedelta(seconds=self.window_s)
        return [point for point in self.points if point.time > begin]

    def per_second(self, of: Callable[[HistoryPoint], float]) -> float:
        """The mean over the window."""
        recent = self.recent
        return sum(map(of, recent)) / min(self.window_s, len(recent)) if recent else 0.0

    def quantile(self, q: float) -> float | None:
        """Of the latencies of the window."""
        return quantile(self.bounds, added(point.latencies for point in self.recent), q)

    def quantiles(self, q: float) -> list[float]:
        """The same of each second; 0 where nothing ended."""
        return [quantile(self.bounds, point.latencies, q) or 0.0 for point in self.points]

    def at(self, instance: str) -> Iterator[InstancePoint | None]:
        """What happened at one instance, second by second."""
        for point in self.points:
            yield next((each for each in point.instances if each.instance == instance), None)


@dataclass(frozen=True)
class ModelRates:
    """A model in the window; latency in seconds."""

    calls: float
    failed: float
    p95: float | None
    tokens: float


@dataclass
class Counters:
    """A router's metrics, look by look: what models did is the difference between two looks."""

    window_s: int = 10
    looks: deque[tuple[float, dict[str, MetricFamily]]] = field(default_factory=deque)

    def add(self, now: float, families: Iterable[MetricFamily]) -> None:
        """A look at that time, in seconds."""
        self.looks.append((now, {each.name: each for each in families}))
        while len(self.looks) > 2 and self.looks[1][0] <= now - self.window_s:
            self.looks.popleft()

    def of(self, model: str) -> ModelRates | None:
        """What it did in the window; None before there are two looks, and where nothing is counted."""
        if len(self.looks) < 2:
            return None
        (begin, before), (end, now) = self.looks[0], self.looks[-1]
        if "waypost_calls" not in now:
            return None
        calls = _difference(before, now, "waypost_calls", model)
        ok = _difference(before, now, "waypost_calls", model, code="OK")
        away = _difference(before, now, "waypost_calls", model, code="CANCELLED")
        tokens = _difference(before, now, "waypost_tokens", model, kind="completion")
        seconds = max(end - begin, 1e-3)
        p95 = _quantile(before, now, "waypost_call_seconds", model)
        return ModelRates(calls / seconds, (calls - ok - away) / seconds, p95, tokens / seconds)


Families = dict[str, MetricFamily]


def _difference(before: Families, now: Families, name: str, model: str, **labels: str) -> float:
    """How much more it is than it was; a router that began anew counts from 0."""
    was, has = (sum(each.value for each in _series(look.get(name), model=model, **labels)) for look in (before, now))
    return has - was if has >= was else has


def _quantile(before: Families, now: Families, name: str, model: str) -> float | None:
    if name not in now:
        return None
    was, has = ([each.buckets for each in _series(look.get(name), model=model)] for look in (before, now))
    new, old = added(has), added(was)
    if old and all(after >= each for after, each in zip(new, old, strict=True)):
        new = [after - each for after, each in zip(new, old, strict=True)]
    return quantile(now[name].bounds, new, 0.95)


def _series(family: MetricFamily | None, **labels: str) -> Iterator[MetricSeries]:
    """Those of the family that have these labels."""
    if family is None:
        return
    for series in family.series:
        if labels.items() <= dict(zip(family.labels, series.values, strict=True)).items():
            yield series
