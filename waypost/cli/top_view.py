"""A frame of `waypost top`: figures with their last minute, bars, rows of instances and models, the last decisions.

It is made for 80 columns and shows more where there are more.  Where lines are short the decisions give way first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from waypost.cli import decision, show
from waypost.cli.rates import spark
from waypost.observed import HistoryPoint, InstancePoint

if TYPE_CHECKING:
    from waypost.cli.rates import ModelRates
    from waypost.cli.top import Frame, Sort
    from waypost.control import Budget
    from waypost.results import InstanceStatus, ModelInfo

T = TypeVar("T")

WIDE = 110
FIGURES = 5
"""Lines of the figures on the left."""

STATES = {
    "ready": "green",
    "starting": "yellow",
    "draining": "yellow",
    "ejected": "red",
    "down": "bold red",
    "asleep": "blue",
    "waking": "yellow",
}


def failed(point: HistoryPoint | InstancePoint) -> float:
    """Calls that failed, for `Past.per_second`."""
    return point.errors


class Spark:
    """Values as bars beside each other, as many of the last as there is room for."""

    def __init__(self, values: Sequence[float], style: str) -> None:
        self._values = values
        self._style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(spark(self._values, options.max_width), self._style, no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, options.max_width)


class View:
    """A frame, to be printed; `height`: lines that there are, None for any number."""

    def __init__(self, frame: Frame, sort: Sort, height: int | None) -> None:
        self._frame = frame
        self._sort = sort
        self._height = height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.max_width >= WIDE
        bars = self._bars(wide)
        instances, models, decisions = self._left(max(FIGURES, bars.row_count))
        yield self._title(wide)
        yield _beside(self._figures(), bars)
        yield self._instances(wide, instances)
        yield self._models(wide, models)
        yield from self._decisions(options.max_width, decisions)

    def _left(self, overview: int) -> tuple[int, int, int]:
        """Rows of instances, of models, and of decisions, beside the title and a heading each."""
        instances, models = len(self._frame.instances), len(self._frame.models)
        if self._height is None:
            return instances, models, 10
        room = max(self._height - overview - 4, 3)
        rows = room - max(room // 3, room - instances - models, 1)
        models = min(models, max(rows // 2, rows - instances, 1))
        instances = min(instances, max(rows - models, 1))
        return instances, models, room - instances - models

    # ---- the whole mesh ----

    def _title(self, wide: bool) -> Table:
        status, now = self._frame.status, self._frame.now
        made = Table.grid(expand=True)
        made.add_column(no_wrap=True, overflow="ellipsis")
        made.add_column(justify="right", no_wrap=True)
        said = Text.assemble(
            (status.instance, "bold"),
            (f"  Waypost {status.version}, up {_span((now.astimezone(UTC) - status.started).total_seconds())}", ""),
            (f", {status.policy.replace('_', ' ')}" if wide else "", ""),
            (f"  {self._frame.address}", "dim"),
        )
        made.add_row(said, Text(f"{now:%H:%M:%S}", "dim"))
        return made

    def _figures(self) -> Table:
        past = self._frame.past
        made = Table.grid(padding=(0, 1), expand=True)
        made.add_column(style="dim", width=8)
        made.add_column(justify="right", width=8, no_wrap=True)
        made.add_column(ratio=1)

        def rate(name: str, of: Callable[[HistoryPoint], float], style: str) -> None:
            made.add_row(name, f"{past.per_second(of):,.1f}", Spark([of(point) for point in past.points], style))

        def latency(name: str, q: float) -> None:
            made.add_row(name, _time(past.quantile(q)), Spark(past.quantiles(q), "blue"))

        rate("calls/s", lambda point: point.calls, "cyan")
        rate("failed/s", failed, "red")
        latency("p50", 0.5)
        latency("p95", 0.95)
        rate("tokens/s", lambda point: point.completion_tokens, "magenta")
        return made

    def _bars(self, wide: bool) -> Table:
        width = 16 if wide else 8
        made = Table.grid(padding=(0, 1), expand=True)
        made.add_column(style="dim", width=9, no_wrap=True)
        made.add_column(width=width, no_wrap=True)
        made.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        for name, share, words, style in [*self._shares(), *self._tiers()]:
            made.add_row(name, Text(show.bar(share, width), style), Text(words))
        return made

    def _shares(self) -> Iterator[tuple[str, float, str, str]]:
        """Name, how full, in words, in which style."""
        status, budget = self._frame.status, self._frame.budget
        busy = status.in_flight / (status.max_in_flight or 1)
        yield "in flight", busy, f"{status.in_flight:,} of {status.max_in_flight:,}", _alarm(busy)
        hits = status.cache.hits + status.cache.near_hits
        asked = hits + status.cache.misses
        yield "cache", hits / (asked or 1), f"{show.percent(hits / asked)} hits" if asked else "not asked", "green"
        yield "budget", *_spent(budget)
        if status.dropped_events:
            yield "log", 1.0, f"{status.dropped_events:,} events lost", "red"

    def _tiers(self) -> Iterator[tuple[str, float, str, str]]:
        for index, each in enumerate(self._frame.status.tiers):
            words = f"{each.achieved * 100:.0f} % {each.tier}, aim {each.target * 100:.0f} %"
            yield "" if index else "tiers", each.achieved, words, "blue"

    # ---- rows ----

    def _instances(self, wide: bool, most: int) -> Table:
        names = ["instance", "state", "busy ", "calls/s ", "failed/s ", "p95 ", "good "]
        made = _rows([*names, *(["breaker", "ejected ", "calls "] if wide else [])])
        made.add_column("last minutes", ratio=1, no_wrap=True)
        made.expand = True
        rows = [(each, *self._rates(each.instance)) for each in self._frame.instances]
        rows.sort(key=lambda row: self._order(row[0].instance, row[1], row[2], row[0].latency_p95, row[0].in_flight))
        for each, calls, errors, values in _first(rows, most):
            more = (each.breaker.replace("_", " "), f"{each.ejections}", f"{each.requests:,}") if wide else ()
            made.add_row(
                Text(show.printable(each.instance)),
                _state(each),
                f"{each.in_flight}",
                f"{calls:,.1f}",
                _red(errors),
                _time(each.latency_p95 or None),
                show.percent(round(each.success_rate, 3)),
                *more,
                Spark(values, "cyan"),
            )
        return _more(made, len(rows))

    def _rates(self, instance: str) -> tuple[float, float, list[float]]:
        """Calls and failures a second, and the calls of each second."""
        past = self._frame.past
        points = list(past.at(instance))
        recent = [point for point in points[-past.window_s :] if point]
        seconds = max(min(past.window_s, len(points)), 1)
        values = [float(point.calls) if point else 0.0 for point in points]
        return sum(each.calls for each in recent) / seconds, sum(each.errors for each in recent) / seconds, values

    def _models(self, wide: bool, most: int) -> Table:
        names = ["model", "calls/s ", "failed/s ", "p95 ", "tokens/s ", "this month ", ""]
        made = _rows([*names, *(["tier", "tasks"] if wide else [])])
        spent = {each.model: each.spent_usd for each in self._frame.budget.models} if self._frame.budget else {}
        rows = [(each, self._frame.counters.of(each.name)) for each in self._frame.models]
        rows.sort(key=lambda row: self._order_of_model(*row))
        for model, rates in _first(rows, most):
            made.add_row(
                Text(show.printable(model.name)),
                *_rates(rates),
                f"{spent[model.name]:,.2f} USD" if spent.get(model.name) else "",
                _marks(model),
                *((model.tier, ", ".join(model.tasks)) if wide else ()),
            )
        return _more(made, len(rows))

    def _order_of_model(self, model: ModelInfo, rates: ModelRates | None) -> tuple[float, str]:
        if rates is None:
            return 0.0, model.name
        return self._order(model.name, rates.calls, rates.failed, rates.p95 or 0.0, rates.calls)

    def _order(self, name: str, calls: float, errors: float, p95: float, busy: float) -> tuple[float, str]:
        by = {"calls": calls, "failed": errors, "p95": p95, "busy": busy, "name": 0.0}
        return -by[self._sort], name

    def _decisions(self, width: int, most: int) -> Iterator[Text]:
        if most <= 0:
            return
        yield Text("decisions", "bold")
        for each in self._frame.decisions[-most:][::-1]:
            line = decision.brief(each.line, width, self._frame.now)
            line.no_wrap, line.overflow = True, "ellipsis"
            yield line


def _rows(names: Iterable[str]) -> Table:
    """A table without lines; names that end in a space are those of right-aligned columns."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", title_justify="left")
    for name in names:
        made.add_column(
            name.strip(), justify="right" if name.endswith(" ") else "left", no_wrap=True, overflow="ellipsis"
        )
    return made


def _first(rows: Sequence[T], most: int) -> Sequence[T]:
    """As many as there is room for; the last line then says how many more there are."""
    return rows if len(rows) <= most else rows[: max(most - 1, 0)]


def _more(table: Table, rows: int) -> Table:
    if rows > table.row_count:
        table.add_row(Text(f"… {rows - table.row_count} more", "dim"))
    return table


def _rates(rates: ModelRates | None) -> tuple[Any, ...]:
    if rates is None:
        return "–", "–", "–", "–"
    tokens = f"{rates.tokens:,.1f}" if rates.tokens else ""
    return f"{rates.calls:,.1f}", _red(rates.failed), _time(rates.p95), tokens


def _marks(model: ModelInfo) -> Text:
    if model.unloaded:
        return Text("out of service", "yellow")
    return Text("pinned" if model.pinned else "hot" if model.hot else "", "dim")


def _state(instance: InstanceStatus) -> Text:
    if instance.drained:
        return Text("drained", "yellow")
    if instance.state == "ready" and instance.breaker in ("open", "half_open"):
        return Text(f"breaker {instance.breaker.replace('_', ' ')}", "red")
    return Text(instance.state, STATES.get(instance.state, ""))


def _red(rate: float) -> Text:
    return Text(f"{rate:,.1f}", "red" if rate else "dim")


def _beside(left: Table, right: Table) -> Table:
    made = Table.grid(padding=(0, 3), expand=True)
    made.add_column(ratio=1)
    made.add_column(ratio=1)
    made.add_row(left, right)
    return made


def _spent(budget: Budget | None) -> tuple[float, str, str]:
    if budget is None:
        return 0.0, "the ledger is away", ""
    spent = budget.spent_usd + budget.reserved_usd
    if budget.cap_usd is None:
        return 0.0, f"{spent:,.2f} USD, no limit", ""
    share = spent / budget.cap_usd if budget.cap_usd else 1.0
    return share, f"{spent:,.2f} of {budget.cap_usd:,.0f} USD", _alarm(share)


def _alarm(share: float) -> str:
    return "red" if share >= 0.95 else "yellow" if share >= 0.8 else "green"


def _time(seconds: float | None) -> str:
    """Three digits, since columns are narrow."""
    if seconds is None:
        return "–"
    figure, unit = (seconds, "s") if seconds >= 1 else (seconds * 1e3, "ms")
    return f"{figure:,.{2 if figure < 10 else 1 if figure < 100 else 0}f} {unit}"


def _span(seconds: float) -> str:
    """ "3 d 4 h", "12 min", "40 s"."""
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"
