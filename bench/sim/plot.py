"""Pictures of the simulator's runs: the tail of each policy, and who got the calls over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WINDOW = 2
"""Seconds that a point of the timeline covers."""


def draw(scenario: str, contenders: list[tuple[str, list[dict[str, Any]]]], folder: Path) -> None:
    """Writes `SCENARIO-p99.svg` and `SCENARIO-shares.svg`, the latter of the first contender."""
    # Only who asks for pictures needs it.
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(8, 0.5 * len(contenders) + 1), layout="constrained")
    _tails(figure.add_subplot(), contenders)
    figure.suptitle(f"{scenario}: p99 of the answers, each seed a point")
    figure.savefig(folder / f"{scenario}-p99.svg")

    name, runs = contenders[0]
    figure = Figure(figsize=(8, 4), layout="constrained")
    _shares(figure.add_subplot(), runs[0])
    figure.suptitle(f"{scenario}, {name}: who gets the calls")
    figure.savefig(folder / f"{scenario}-shares.svg")


def _tails(axes: Any, contenders: list[tuple[str, list[dict[str, Any]]]]) -> None:
    for name, runs in reversed(contenders):
        axes.plot([run["p99_ms"] for run in runs], [name] * len(runs), "o", alpha=0.6)
    axes.set_xscale("log")
    axes.set_xlabel("ms")
    axes.grid(axis="x", which="both", alpha=0.3)


def _shares(axes: Any, run: dict[str, Any]) -> None:
    kinds = sorted(set(run["workers"]))
    starts = range(0, len(run["timeline"]), WINDOW)
    lines = [_kind_shares(run, kind) for kind in kinds]
    axes.stackplot(starts, lines, labels=kinds)
    axes.set_xlabel("s")
    axes.set_ylabel("share of the calls")
    axes.legend(loc="upper right")


def _kind_shares(run: dict[str, Any], kind: str) -> list[float]:
    places = [place for place, other in enumerate(run["workers"]) if other == kind]
    shares = []
    for start in range(0, len(run["timeline"]), WINDOW):
        seconds = run["timeline"][start : start + WINDOW]
        mine = sum(second[place] for second in seconds for place in places)
        shares.append(mine / max(1, sum(map(sum, seconds))))
    return shares
