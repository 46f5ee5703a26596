"""Who should make room when not all models fit into memory?

Question: of calls to 12 models, with memory for about 4, how many find theirs running, and how long do the others wait?
Control: the same models, clients and draws for every contender; all of them decide by the policy of production and
differ in whom they end: LRU; LRU by bytes (idle time x size); LFU; and what Waypost does (`router/life/worth.py`).
Measured: in simulated time, so the figures do not depend on the machine.  8 clients call, each its next model drawn by
Zipf's law (exponent 1), as soon as the last has answered and a pause is over.

equal    all models of one size
sizes    sizes from 0.2 to 4 GiB, popularity independent of them; memory for a third of all bytes
shift    as sizes, and every 5 minutes other models are the popular ones
scan     as sizes, and every 2 minutes somebody calls each model once

    python -m bench.life [--minutes 30] [--seeds 3]
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable, Iterator, Sequence

from bench import table
from bench.life_world import CONTENDERS, Ask, Client, Size, World
from router.life.worth import GIB, Worth

MODELS = 12
CLIENTS = 8
SERVICE_S = 0.2
PAUSE_S = 5.0
SCENARIOS = ("equal", "sizes", "shift", "scan")
SHIFT_S, SHIFT = 300.0, 4
SCAN_S = 120.0


def zipf(order: Sequence[int], seed: str, shift_s: float = 0.0, pause_s: float = PAUSE_S) -> Client:
    """Calls the models of `order`, the first most; every `shift_s` another is the first."""
    chance = random.Random(seed)
    weights = [1 / (place + 1) for place in range(len(order))]

    def ask(now: float) -> Ask:
        (place,) = chance.choices(range(len(order)), weights)
        turned = int(now // shift_s) * SHIFT if shift_s else 0
        model = order[(place + turned) % len(order)]
        return Ask(chance.expovariate(1 / pause_s), model, SERVICE_S)

    return ask


def worlds(scenario: str, make: Callable[[], Worth], minutes: float, seeds: int) -> Iterator[World]:
    """The scenario's runs, one for each seed."""
    for seed in range(seeds):
        chance = random.Random(1000 + seed)
        sizes = [1.0] * MODELS if scenario == "equal" else [0.2 * 20 ** chance.random() for _ in range(MODELS)]
        memory = 4.0 if scenario == "equal" else max(sum(sizes) / 3, max(sizes))
        world = World(make(), [Size(int(size * GIB), 0.5 + size) for size in sizes], int(memory * GIB))
        order = chance.sample(range(MODELS), MODELS)
        for client in range(CLIENTS):
            world.join(zipf(order, f"{seed} {client}", SHIFT_S if scenario == "shift" else 0.0))
        if scenario == "scan":
            world.after(SCAN_S, lambda world=world: _scan(world))
        yield world.run(60 * minutes)


def _scan(world: World) -> None:
    for model in range(MODELS):
        world.call(model, SERVICE_S, lambda: None)
    world.after(SCAN_S, lambda: _scan(world))


def row(name: str, runs: list[World]) -> list[object]:
    """A line of the table: means over the seeds."""
    rates = [run.hit_rate for run in runs]
    return [
        name,
        f"{100 * statistics.fmean(rates):.1f} ({100 * min(rates):.1f})",
        f"{statistics.fmean(run.mean_wait for run in runs):.2f}",
        f"{statistics.fmean(run.p99_wait for run in runs):.1f}",
        f"{statistics.fmean(len(run.waits) for run in runs):.0f}",
    ]


def main() -> None:
    """Runs the simulation and prints its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    header = ["ends first", "found running, % (worst seed)", "mean wait s", "p99 wait s", "calls answered"]
    for scenario in SCENARIOS:
        runs = {name: list(worlds(scenario, make, options.minutes, options.seeds)) for name, make in CONTENDERS.items()}
        title = f"{scenario}: {MODELS} models, {CLIENTS} clients, {options.minutes:g} minutes"
        table.show(title, header, [row(*each) for each in runs.items()])


if __name__ == "__main__":
    main()
