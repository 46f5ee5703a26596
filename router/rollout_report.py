"""The report of a rollout in Markdown, with plots: what was tried, what both sides showed, how it ended and why.

It is made of the journal that `router.rollout` keeps and of the shadow calls that `router.shadow` compared, so it can
be made at any time, also of a rollout that still runs.  Plots need matplotlib (the extra `report`); without it the
report has its tables and says so.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from router.rollout import figure, percent, share

Json = Mapping[str, Any]
Series = dict[str, list[float]]
"""The values of each line of a plot."""

SIDES = ("stable", "canary")
ENDINGS = {
    "running": "Still running",
    "promoted": "Promoted",
    "rolled_back": "Rolled back",
    "inconclusive": "Inconclusive",
}


class NothingKnown(LookupError):
    """Raised by `write`: the journal has nothing of a rollout."""

    def __init__(self, name: str, journal: Path) -> None:
        super().__init__(f"{journal} has nothing of a rollout of {name!r}; it is kept by the router that judges it")


@dataclass(frozen=True)
class Run:
    """One rollout as the journal has it."""

    looks: Sequence[Json]
    changes: Sequence[Json]

    @property
    def rollout(self) -> Json:
        """As it was last."""
        lines = [*self.looks[-1:], *self.changes[-1:]]
        last: Json = max(lines, key=lambda line: line["rollout"]["revision"])["rollout"]
        return last


def write(name: str, journal: Path, shadows: Path, folder: Path) -> Path:
    """Writes the report of the last rollout of `name` into `folder`; returns the Markdown file.

    Raises:
        NothingKnown: the journal has nothing of it.
    """
    run = last_run(_lines(journal), name)
    if run is None:
        raise NothingKnown(name, journal)
    pairs = [line for line in _lines(shadows) if _between(line, run)]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.md"
    path.write_text("\n".join([*_text(run, pairs), *_plots(run, pairs, folder)]) + "\n")
    return path


def _lines(path: Path) -> Iterator[Json]:
    """Of the file that was full before, and of this one."""
    for part in (Path(f"{path}.1"), path):
        if part.exists():
            yield from map(json.loads, filter(None, part.read_text().splitlines()))


def last_run(lines: Iterable[Json], name: str) -> Run | None:
    """The last rollout of that name: it begins where another one ended, or where models or steps are others."""
    run: list[Json] = []
    for line in lines:
        if line["rollout"]["name"] != name:
            continue
        if run and _begins(run[-1], line):
            run = []
        run.append(line)
    if not run:
        return None
    return Run([line for line in run if "verdict" in line], [line for line in run if "verdict" not in line])


def _begins(before: Json, line: Json) -> bool:
    before, after = before["rollout"], line["rollout"]
    again = before["state"] != "running" or after["step"] < before["step"]
    return again or any(before[key] != after[key] for key in ("stable", "canary", "steps"))


def _between(pair: Json, run: Run) -> bool:
    models = (run.rollout["stable"], run.rollout["canary"])
    first = [line["timestamp"] for line in (*run.looks[:1], *run.changes[:1])]
    return (pair.get("stable_model"), pair.get("canary_model")) == models and pair["timestamp"] >= min(first)


# ---- the text ----


def _text(run: Run, pairs: Sequence[Json]) -> Iterator[str]:
    rollout = run.rollout
    yield f"# {rollout['name']}: {rollout['stable']} → {rollout['canary']}\n"
    yield f"**{ENDINGS[rollout['state']]}**{_why(run)}\n"
    yield "## Steps\n"
    yield from _table(("share", "minutes", "calls, stable", "calls, canary", "calls/s", "ended"), _steps(run))
    for look in _last_looks(run):
        yield f"\n## Both sides at {percent(share(look['rollout']))}\n"
        yield from _table(("", "stable", "canary", "difference"), _compared(look))
    if pairs:
        yield "\n## Answers to the same calls\n"
        columns = ("kind", "pairs", "mean", "lowest 5 %", "lowest", "the same", "not comparable")
        yield from _table(columns, _alike(pairs))


def _why(run: Run) -> str:
    return f": {run.rollout['reason']}." if run.rollout["reason"] else "."


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _last_looks(run: Run) -> list[Json]:
    """The last look at each step."""
    return list({look["rollout"]["step"]: look for look in run.looks}.values())


def _steps(run: Run) -> Iterator[tuple[str, ...]]:
    looks = _last_looks(run)
    endings = [line["rollout"]["reason"] for line in run.changes]
    for index, look in enumerate(looks):
        calls = [look[side]["calls"] for side in SIDES]
        rate = sum(calls) / max(look["since_s"], 1.0)
        ended = endings[index] if index < len(endings) else "not yet"
        minutes = f"{look['since_s'] / 60:.1f}"
        yield percent(share(look["rollout"])), minutes, f"{calls[0]}", f"{calls[1]}", f"{rate:.1f}", ended


def _compared(look: Json) -> Iterator[tuple[str, ...]]:
    for metric in ("errors", "slow"):
        means = [look[side][metric] / max(look[side]["calls"], 1) for side in SIDES]
        yield metric, *(figure(metric, mean) for mean in means), f"{100 * (means[1] - means[0]):+.1f} points"
    for key, words in (("latency_p50_ms", "latency, p50"), ("latency_p95_ms", "latency, p95")):
        ours, theirs = (look[side][key] for side in SIDES)
        change = f"{100 * (theirs / ours - 1):+.0f} %" if ours else ""
        yield words, f"{ours:.1f} ms", f"{theirs:.1f} ms", change
    for metric in ("quality", "feedback"):
        ours, theirs = (look[side][metric] for side in SIDES)
        if ours["n"] and theirs["n"]:
            yield metric, _mean(ours), _mean(theirs), f"{theirs['sum'] / theirs['n'] - ours['sum'] / ours['n']:+.3f}"


def _mean(sums: Json) -> str:
    return f"{sums['sum'] / sums['n']:.3f} of {sums['n']}"


def _alike(pairs: Sequence[Json]) -> Iterator[tuple[str, ...]]:
    for kind, alike in _similarities(pairs).items():
        lost = sum(pair.get("kind") == kind and pair["similarity"] is None for pair in pairs)
        low, mean = np.quantile(alike, 0.05), np.mean(alike)
        same = np.mean(np.asarray(alike) >= 1 - 1e-6)
        yield kind, f"{len(alike)}", f"{mean:.3f}", f"{low:.3f}", f"{min(alike):.3f}", percent(float(same)), f"{lost}"


def _similarities(pairs: Iterable[Json]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for pair in pairs:
        if pair["similarity"] is not None:
            found[pair["kind"]].append(pair["similarity"])
    return found


# ---- the plots ----


def _plots(run: Run, pairs: Sequence[Json], folder: Path) -> Iterator[str]:
    try:
        import matplotlib.figure  # noqa: F401  # an extra, and slow to import
    except ImportError:
        yield "\nNo plots: `pip install 'waypost[report]'` brings what draws them."
        return
    yield "\n## Over time\n"
    minutes = _minutes(run)
    steps = [minutes[run.looks.index(look)] for look in _last_looks(run)[:-1]]
    yield from (_drawn(folder, minutes, steps, *plot) for plot in _lines_over_time(run))
    for kind, alike in _similarities(pairs).items():
        yield _histogram(folder, kind, alike)


def _lines_over_time(run: Run) -> Iterator[tuple[str, str, Series]]:
    """Title, unit, and lines of each plot that has something to show."""
    yield "errors", "% of calls", _over_time(run, lambda side: 100 * side["errors"] / max(side["calls"], 1))
    yield "slow calls", "% of calls", _over_time(run, lambda side: 100 * side["slow"] / max(side["calls"], 1))
    yield "latency p95", "ms", _over_time(run, lambda side: side["latency_p95_ms"])
    for metric in ("quality", "feedback"):
        if any(look["canary"][metric]["n"] for look in run.looks):
            yield metric, "mean", _over_time(run, _mean_of(metric))


def _mean_of(metric: str) -> Callable[[Json], float]:
    return lambda side: side[metric]["sum"] / side[metric]["n"] if side[metric]["n"] else float("nan")


def _minutes(run: Run) -> list[float]:
    times = [datetime.fromisoformat(look["timestamp"]).timestamp() for look in run.looks]
    return [(time - times[0]) / 60 for time in times]


def _over_time(run: Run, value: Callable[[Json], float]) -> Series:
    return {side: [value(look[side]) for look in run.looks] for side in SIDES}


def _drawn(folder: Path, minutes: list[float], steps: list[float], title: str, unit: str, series: Series) -> str:
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(8, 3), layout="constrained")
    axes = drawing.subplots()
    for name, values in series.items():
        axes.plot(minutes, values, label=name, marker="." if len(minutes) < 20 else "")
    for end in steps:
        axes.axvline(end, color="grey", linestyle=":")
    axes.set(title=f"{title} since each step began", xlabel="minutes", ylabel=unit)
    axes.grid(alpha=0.3)
    axes.legend()
    return _saved(drawing, folder, title)


def _histogram(folder: Path, kind: str, alike: Sequence[float]) -> str:
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(8, 3), layout="constrained")
    axes = drawing.subplots()
    axes.hist(alike, bins=40)
    axes.set(title=f"{kind}: how alike", xlabel="similarity", ylabel="pairs")
    return _saved(drawing, folder, f"alike {kind}")


def _saved(drawing: Any, folder: Path, title: str) -> str:
    file = f"{title.replace(' ', '-')}.png"
    drawing.savefig(folder / file, dpi=110)
    return f"![{title}]({file})\n"
