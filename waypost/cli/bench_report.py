"""The report of `waypost bench`: what was measured where and how, in Markdown, with plots.

Latencies are drawn as the share of calls that took longer, both axes logarithmic, so that the tail is seen; throughput
and latency are drawn against the number of clients where there were several.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import waypost
from waypost import _core, cpus
from waypost.cli import show
from waypost.cli.failures import CommandError

if TYPE_CHECKING:
    from waypost.cli.bench import Figures, Measured
    from waypost.results import ModelInfo

POINTS = 500
"""Most points of a drawn distribution."""


@dataclass(frozen=True)
class About:
    """What was measured, and where; the load is that of before."""

    address: str
    seconds: float
    words: int
    max_tokens: int
    models: Sequence[ModelInfo]
    machine: Mapping[str, str]
    load_before: float


def check() -> None:
    """Sees whether plots can be drawn, before anything is measured.

    Raises:
        CommandError: they cannot.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise CommandError("plots need matplotlib: pip install 'waypost[report]'")


def machine() -> dict[str, str]:
    """Where this runs."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": cpus.processor(),
        "cores": f"{cpus.available()} of {os.cpu_count()} may be used",
        "memory": f"{pages * size / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "Waypost": f"{waypost.__version__}, {_core.build_profile} build",
    }


def write(folder: Path, about: About, measured: Sequence[Measured]) -> Path:
    """Writes report and plots into `folder`; returns the Markdown file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.md"
    path.write_text("\n".join([*_text(about, measured), *_plots(folder, measured), *_notes(about, measured)]) + "\n")
    return path


# ---- the text ----


def _text(about: About, measured: Sequence[Measured]) -> Iterator[str]:
    yield "# Bench of a mesh\n"
    yield f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {about.address}\n"
    yield f"```console\n$ {shlex.join(['waypost', *sys.argv[1:]])}\n```\n"
    yield "## Figures\n"
    writes = any(each.figures.tokens_per_s is not None for each in measured)
    columns = ["task", "clients", "calls/s", "texts/s", "p50", "p95", "p99", "calls", "failed"]
    columns += ["first token, p50", "p95", "tokens/s"] if writes else []
    yield from _table(columns, (_row(each.figures, writes) for each in measured))
    yield "\n## Where\n"
    before = ("load before", f"{about.load_before:.2f} (mean of one minute)")
    yield from _table(("", ""), [*about.machine.items(), before])
    yield "\n## Models\n"
    rows = ((each.name, each.version, each.backend, ", ".join(each.tasks)) for each in about.models)
    yield from _table(("model", "version", "backend", "tasks"), rows)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _row(each: Figures, writes: bool) -> list[str]:
    rates = (f"{rate:,.{0 if rate >= 10 else 2}f}" for rate in (each.calls_per_s, each.texts_per_s))
    times = (show.milliseconds(value) for value in (each.p50, each.p95, each.p99))
    row = [each.task, f"{each.clients}", *rates, *times, f"{each.calls:,}", f"{each.failed:,}"]
    if not writes:
        return row
    firsts = ("" if value is None else show.milliseconds(value) for value in (each.first_p50, each.first_p95))
    return [*row, *firsts, "" if each.tokens_per_s is None else f"{each.tokens_per_s:,.1f}"]


def _notes(about: About, measured: Sequence[Measured]) -> Iterator[str]:
    """What one has to know to read the figures."""
    yield "\n## Notes\n"
    yield f"- Each row is one run of {about.seconds:g} s, not warmed up; texts have {about.words} words and a number."
    yield "- Clients wait for an answer before they ask again. Where there are more than the mesh can serve at once,"
    yield "  the wait in its queue is in the latency; more clients then raise it and not the throughput."
    yield "- The load generator runs on this machine; where the mesh does too, it takes part of the same cores."
    yield "- No text comes twice within the workers' default cache, and the router's is passed by: real traffic may"
    yield "  fare better."
    if any(each.figures.tokens_per_s is not None for each in measured):
        yield f"- Answers were at most {about.max_tokens} tokens long, at temperature 0. A first token is the first"
        yield "  piece that a caller reads; tokens are as the model counts them, until the last one ended."
    if about.load_before > cpus.available() / 2:
        yield f"- **Something else ran here: a load of {about.load_before:.1f} before.** Measure again when it is idle."
    for each in measured:
        yield from _doubts(each.figures)


def _doubts(each: Figures) -> Iterator[str]:
    where = f"{each.task} with {_clients(each)}"
    if each.failed:
        yield f"- **{where}: {each.failed:,} of {each.calls:,} calls failed**; `waypost logs` says why."
    if each.calls < 1000:
        yield f"- {where}: only {each.calls:,} calls, so its p99 is that of {max(each.calls // 100, 1)} or so of them."


def _clients(each: Figures) -> str:
    return "1 client" if each.clients == 1 else f"{each.clients} clients"


# ---- the plots ----


def _plots(folder: Path, measured: Sequence[Measured]) -> Iterator[str]:
    yield "\n## Latency\n"
    for task, runs in groupby(measured, key=lambda each: each.figures.task):
        yield _distribution(folder, task, list(runs))
    if len({each.figures.clients for each in measured}) > 1:
        yield "## Clients\n"
        yield _throughput(folder, measured)


def _distribution(folder: Path, task: str, runs: Sequence[Measured]) -> str:
    drawing, (axes,) = _figure(1)
    for each in runs:
        times, above = _tail(each.latencies)
        axes.plot(times * 1e3, above * 100, label=_clients(each.figures), drawstyle="steps-post")
    axes.set(xscale="log", yscale="log", xlabel="ms", ylabel="% of calls that took longer", title=task)
    _plain(axes.xaxis, axes.yaxis)
    for share, name in ((50, "p50"), (5, "p95"), (1, "p99")):
        axes.axhline(share, color="grey", linewidth=0.8, linestyle=":")
        axes.annotate(name, (1, share), xycoords=("axes fraction", "data"), xytext=(4, -3), textcoords="offset points")
    axes.legend()
    return _saved(drawing, folder, f"latency {task}")


def _tail(latencies: Any) -> tuple[Any, Any]:
    """Times, and the share of calls that took longer than each; so thinned out that the tail stays as it is."""
    times = np.sort(latencies)
    if not len(times):
        return times, times
    above = 1 - np.arange(1, len(times) + 1) / len(times)
    kept = np.unique((len(times) - np.geomspace(1, len(times), min(POINTS, len(times)))).astype(int))
    seen = kept[above[kept] > 0]
    return times[seen], above[seen]


def _throughput(folder: Path, measured: Sequence[Measured]) -> str:
    drawing, (left, right) = _figure(2)
    for task, runs in groupby((each.figures for each in measured), key=lambda each: each.task):
        found = list(runs)
        clients = [each.clients for each in found]
        left.plot(clients, [each.texts_per_s for each in found], marker="o", label=task)
        (line,) = right.plot(clients, [each.p50 * 1e3 for each in found], marker="o", label=f"{task}, p50")
        right.plot(clients, [each.p99 * 1e3 for each in found], marker="^", linestyle="--", color=line.get_color())
    left.set(xlabel="clients", ylabel="texts a second", title="throughput", ylim=(0, None))
    right.set(xlabel="clients", ylabel="ms", yscale="log", title="latency: p50, and p99 dashed")
    _plain(right.yaxis)
    ticks = sorted({each.figures.clients for each in measured})
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, [str(each) for each in ticks])
        axes.minorticks_off()
    left.legend()
    return _saved(drawing, folder, "throughput")


def _figure(columns: int) -> tuple[Any, Sequence[Any]]:
    """Without pyplot, and so without a display."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(9, 4), layout="constrained")
    axes = drawing.subplots(1, columns, squeeze=False)[0]
    for each in axes:
        each.grid(alpha=0.3, which="both")
    return drawing, axes


def _plain(*axes: Any) -> None:
    """0.1, 1, 10 instead of powers of ten."""
    for each in axes:
        each.set_major_formatter("{x:g}")


def _saved(drawing: Any, folder: Path, title: str) -> str:
    file = f"{title.replace(' ', '-')}.png"
    drawing.savefig(folder / file, dpi=110)
    return f"![{title}]({file})\n"
