"""Which policy between replicas copes with faults, bursts, several routers, overload, a cold newcomer?

Question: p99, errors and each worker's share under every policy, in a simulated world of queues and faults
(`rust_core/sim`) whose routers decide by the code of production.
Control: the same calls, with the same seeds, for every policy; the policies without breaker, retries and limits.
Measured: in simulated time, so the figures do not depend on the machine.

    python -m bench.sim                     # all scenarios
    python -m bench.sim mixed fleet         # or some
    python -m bench.sim --plots FOLDER      # with pictures
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from bench import table
from bench.sim import plot

ROOT = Path(__file__).parents[2]
COMMAND = ("cargo", "run", "--release", "--locked", "--quiet", "-p", "waypost-sim", "--", "--json")

Report = dict[str, Any]


def reports(arguments: Iterable[str]) -> list[Report]:
    """Runs of the simulator, as it prints them."""
    done = subprocess.run([*COMMAND, *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def by_contender(runs: list[Report]) -> list[tuple[str, list[Report]]]:
    """Runs of one scenario, those of a contender together."""
    return [(name, list(group)) for name, group in groupby(runs, key=itemgetter("contender"))]


def row(name: str, runs: list[Report]) -> list[object]:
    """A line of the table: means over the seeds, and the worst."""

    def mean(figure: str) -> float:
        return statistics.fmean(run[figure] for run in runs)

    p99 = f"{mean('p99_ms'):.0f} ({max(run['p99_ms'] for run in runs):.0f})"
    errors = [f"{100 * mean(share):.3f}" for share in ("errors", "refused")]
    return [name, f"{mean('p50_ms'):.0f}", p99, *errors, f"{100 * mean('prompt'):.1f}", shares(runs[0])]


def shares(run: Report) -> str:
    """Attempts by kind of worker, in percent, per worker of that kind."""
    kinds: dict[str, list[float]] = {}
    for kind, share in zip(run["workers"], run["shares"], strict=True):
        kinds.setdefault(kind, []).append(100 * share)
    return ", ".join(f"{kind} {statistics.fmean(parts):.1f}" for kind, parts in kinds.items())


def show(title: str, runs: list[Report]) -> None:
    """Prints a scenario's table."""
    header = ["policy", "p50 ms", "p99 ms (worst seed)", "errors %", "refused %", "within 1 s %", "share of each, %"]
    table.show(title, header, [row(name, group) for name, group in by_contender(runs)])


def main() -> None:
    """Runs the bench, prints its tables and draws its pictures."""
    parser = argparse.ArgumentParser(prog="python -m bench.sim", description=__doc__.splitlines()[0])
    parser.add_argument("scenarios", nargs="*")
    parser.add_argument("--seeds", default="5")
    parser.add_argument("--plots", type=Path, help="folder for pictures")
    asked = parser.parse_args()
    seeds = ["--seeds", asked.seeds]
    for name, group in groupby(reports([*seeds, *asked.scenarios]), key=itemgetter("scenario")):
        runs = list(group)
        show(f"{name}: {len(runs[0]['workers'])} workers, {runs[0]['calls']} calls", runs)
        if asked.plots:
            plot.draw(name, by_contender(runs), asked.plots)
    if not asked.scenarios or "mixed" in asked.scenarios:
        show("mixed, the policies alone: no breaker, retries or limits", reports([*seeds, "--bare", "mixed"]))


if __name__ == "__main__":
    main()
