"""Do twelve models share the memory of four?

Question: 8 clients call 12 models, each its next by Zipf's law, for 5 minutes, and memory is enough for about 4 of
them: does any call fail, how many find their model running, how long do the others wait, is a model ever loaded twice
at a time, and do all workers together stay within their memory?
Control: the calls that were made, with the pauses between them and the time each took, once more in simulated time,
with the same sizes and start times and the policy of production, which ends by LRU, by LFU, or as Waypost does.
Measured: by the clients (retries off) and the trailers of their replies; memory by looking at all processes each 0.2 s.
The budget covers the workers; router and supervisor stand beside it.  Before, each worker runs for a while beside all
others, so that it is known what it takes.

    python -m bench.on_demand [--minutes 5] [--pause 4] [--clients 8] [--tiny]

`--tiny` needs no files: twelve hash models.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import mesh, table
from bench.life import zipf
from bench.life_world import CONTENDERS, Ask, Size, World
from bench.residents import Residents, Seen
from router.life.learned import Learned, Notebook
from router.life.processes import MARGIN
from waypost import Client, config, places
from waypost.errors import WaypostError

PATIENCE_S = 120.0
ROUNDS = 4
"""Calls of each client to each model before it counts."""
MIB = 1 << 20
NO_RETRIES = [("grpc.enable_retries", 0)]
TEXT = "The harbour was quiet when the ferry came in, and nobody had told the pilot about the storm"

Call = Callable[[Client, str, str], object]


def embed(client: Client, model: str, text: str) -> object:
    return client.embed([text, f"{text} at night"], model=model).routing


def classify(client: Client, model: str, text: str) -> object:
    return client.classify([text], model=model).routing


def generate(client: Client, model: str, text: str) -> object:
    return client.generate(text, model=model, max_tokens=16).routing


@dataclass(frozen=True)
class Recipe:
    """A worker with one model of its name."""

    name: str
    ask: Call
    model: str
    worker: str = ""

    def toml(self) -> str:
        """Its part of the configuration."""
        head = f'\n[[workers]]\nname = "{self.name}"\nstart = "demand"\n{self.worker}\n'
        return f'{head}[[workers.models]]\nname = "{self.name}"\n{self.model}\n'


def _minilm(name: str, more: str = "", ask: Call = embed) -> Recipe:
    return Recipe(name, ask, f'source = "all-minilm-l6-v2"\n{more}')


def _writer(name: str, slots: int, context: int) -> Recipe:
    more = f"generate = {{ slots = {slots} }}\nllama = {{ context = {context} }}"
    return Recipe(name, generate, f'backend = "llama"\nsource = "smollm2-135m-instruct"\n{more}')


REAL = (
    Recipe("hash", embed, 'backend = "hash"\ndimensions = 64'),
    Recipe("hash-labels", classify, 'backend = "hash"\nheads = ["intent-hash"]'),
    Recipe("template", generate, 'backend = "template"'),
    _minilm("minilm-a"),
    _minilm("minilm-b"),
    _minilm("minilm-c"),
    _minilm("minilm-exact", 'precision = "float32"'),
    _minilm("intent", 'heads = ["intent"]', classify),
    _minilm("guard", 'heads = ["jailbreak"]', classify),
    _writer("writer-short", 1, 512),
    _writer("writer", 4, 2048),
    _writer("writer-long", 3, 4096),
)
TINY = tuple(Recipe(f"hash-{i}", embed, f'backend = "hash"\ndimensions = {8 << i}') for i in range(12))


@dataclass(frozen=True)
class Setup:
    """What is run."""

    recipes: Sequence[Recipe]
    clients: int = 8
    seconds: float = 300.0
    pause_s: float = 4.0
    share: float = 1 / 3
    """Of what all models would take, that they have."""
    seed: int = 1

    def toml(self, budget: int | None) -> str:
        """The mesh, with so much memory for all its workers."""
        life = f"[router.life]\nmemory_bytes = {budget}\n" if budget else ""
        quiet = '[router.decisions]\nto = "none"\n[router.audit]\nto = "none"\n[router.cache]\nenabled = false\n'
        # All clients may wait for one model, also for one with a single slot.
        quiet += f"[router.limits]\ninstance_in_flight = {8 * self.clients}\n"
        return quiet + life + "".join(recipe.toml() for recipe in self.recipes)

    def budget(self, learned: Sequence[Learned]) -> int:
        """Bytes for all workers: their share, and as much as the largest takes at least."""
        most = max(max(each.memory, each.peak) for each in learned)
        return int(MARGIN * max(most, self.share * sum(each.memory for each in learned)))

    def learned(self) -> list[Learned]:
        """What is known of each worker."""
        workers = config.check(tomllib.loads(self.toml(None)), base=Path.cwd(), origin="bench").workers
        return [Notebook(worker).read() for worker in workers]


@dataclass(frozen=True)
class Made:
    """A call that was made."""

    model: int
    pause_s: float
    took_s: float
    waited_s: float
    error: str = ""


@dataclass
class Outcome:
    """Of one run."""

    setup: Setup
    learned: list[Learned]
    budget: int
    seen: Seen = field(default_factory=Seen)
    traces: list[list[Made]] = field(default_factory=list)

    @property
    def calls(self) -> list[Made]:
        """Of all clients."""
        return [made for trace in self.traces for made in trace]

    @property
    def failures(self) -> Counter[str]:
        """Calls by what they failed with."""
        return Counter(made.error for made in self.calls if made.error)

    @property
    def waits(self) -> list[float]:
        """Seconds, of all calls."""
        return [made.waited_s for made in self.calls]

    def replayed(self, contender: str) -> World:
        """The same calls in simulated time."""
        sizes = [Size(each.memory, each.start_s) for each in self.learned]
        world = World(CONTENDERS[contender](), sizes, self.budget)
        for trace in self.traces:
            asks = iter([Ask(made.pause_s, made.model, max(0.0, made.took_s - made.waited_s)) for made in trace])
            world.join(lambda now, asks=asks: next(asks, None))
        return world.run(float("inf"))


def run(setup: Setup) -> Outcome:
    """Learns what all workers take, and then has them share a part of it."""
    with tempfile.TemporaryFile("w+") as log:
        with mesh.running(setup.toml(None), log=log) as running:
            _learn(setup, running.address)
        learned = setup.learned()
        outcome = Outcome(setup, learned, setup.budget(learned))
        with (
            mesh.running(setup.toml(outcome.budget), log=log) as running,
            Residents(running.pid, outcome.budget) as residents,
        ):
            outcome.traces = _clients(setup, running.address)
        outcome.seen = residents.seen
    return outcome


def _learn(setup: Setup, address: str) -> None:
    def rounds(number: int) -> None:
        with Client(address, timeout=PATIENCE_S) as client:
            for turn in range(ROUNDS):
                for recipe in (*setup.recipes[number:], *setup.recipes[:number]):
                    recipe.ask(client, recipe.name, f"{TEXT}, {number} of {turn}")

    with ThreadPoolExecutor(setup.clients) as threads:
        list(threads.map(rounds, range(setup.clients)))


def _clients(setup: Setup, address: str) -> list[list[Made]]:
    order = random.Random(setup.seed).sample(range(len(setup.recipes)), len(setup.recipes))
    end = time.monotonic() + setup.seconds

    def one(number: int) -> list[Made]:
        asks = zipf(order, f"{setup.seed} {number}", pause_s=setup.pause_s)
        with Client(address, timeout=PATIENCE_S, options=NO_RETRIES) as client:
            return list(_calls(setup, client, lambda: asks(0.0), end))

    with ThreadPoolExecutor(setup.clients) as threads:
        return list(threads.map(one, range(setup.clients)))


def _calls(setup: Setup, client: Client, asks: Callable[[], Ask | None], end: float) -> Iterator[Made]:
    number = 0
    while (ask := asks()) and time.monotonic() + ask.pause_s < end:
        time.sleep(ask.pause_s)
        number += 1
        begun = time.monotonic()
        waited, error = _ask(setup.recipes[ask.model], client, f"{TEXT}, {number}")
        yield Made(ask.model, ask.pause_s, time.monotonic() - begun, waited, error)


def _ask(recipe: Recipe, client: Client, text: str) -> tuple[float, str]:
    """Seconds that it waited for the model, and what it failed with."""
    try:
        return recipe.ask(client, recipe.name, text).waited or 0.0, ""
    except WaypostError as error:
        return 0.0, error.reason or type(error).__name__


def show(outcome: Outcome) -> None:
    """Prints the tables."""
    setup, seen = outcome.setup, outcome.seen
    title = f"{len(setup.recipes)} models, {setup.clients} clients, {setup.seconds / 60:g} minutes ({table.machine()})"
    failed = ", ".join(f"{count} {error}" for error, count in outcome.failures.items())
    table.show(
        f"{title}; load of the machine {seen.load / max(1, seen.looks):.1f}",
        ["calls", "failed", "processes of one model at a time, most", "of all", "loads", "calls that waited, per load"],
        [[len(outcome.calls), failed or 0, seen.of_one, seen.together, seen.starts.total(), _shared(outcome)]],
    )
    others = " + ".join(f"{name} {held // MIB}" for name, held in sorted(seen.others.items()))
    table.show(
        "Memory, MiB (resident)",
        ["all models would take", "budget of workers", "workers, most", f"looks over it, of {seen.looks}", "beside"],
        [
            [
                sum(each.memory for each in outcome.learned) // MIB,
                outcome.budget // MIB,
                seen.workers // MIB,
                seen.over,
                others,
            ]
        ],
    )
    table.show("The same calls by who is ended first", HEADER, _contenders(outcome))
    table.show("Models", ["model", "MiB", "MiB while it starts", "starts in s", "calls", "loads"], _models(outcome))


HEADER = ["ends first", "found running, %", "mean wait s", "p99 wait s", "longest", "loads"]


def _contenders(outcome: Outcome) -> Iterator[list[object]]:
    hits = sum(wait == 0.0 for wait in outcome.waits) / max(1, len(outcome.waits))
    yield _row("Waypost, measured", hits, outcome.waits, outcome.seen.starts.total())
    for name in CONTENDERS:
        world = outcome.replayed(name)
        yield _row(f"{name}, simulated", world.hit_rate, world.waits, world.loads)


def _row(name: str, hits: float, waits: Sequence[float], loads: int) -> list[object]:
    ordered = sorted(waits)
    figures = (statistics.fmean(ordered), ordered[int(0.99 * len(ordered))], ordered[-1])
    return [name, f"{100 * hits:.1f}", *(f"{figure:.2f}" for figure in figures), loads]


def _shared(outcome: Outcome) -> float:
    return sum(wait > 0 for wait in outcome.waits) / max(1, outcome.seen.starts.total())


def _models(outcome: Outcome) -> Iterator[list[object]]:
    calls = Counter(made.model for made in outcome.calls)
    for number, (recipe, known) in enumerate(zip(outcome.setup.recipes, outcome.learned, strict=True)):
        sizes = [known.memory // MIB, known.peak // MIB, f"{known.start_s:.1f}"]
        yield [recipe.name, *sizes, calls[number], outcome.seen.starts[recipe.name]]


@contextmanager
def own_home() -> Iterator[None]:
    """A home where nothing is known of workers, with the models of the usual one."""
    usual = places.home()
    with tempfile.TemporaryDirectory() as folder:
        for kept in ("models", "prepared"):
            (usual / kept).mkdir(parents=True, exist_ok=True)
            (Path(folder) / kept).symlink_to(usual / kept)
        os.environ["WAYPOST_HOME"] = folder
        yield


def main() -> None:
    """Runs the bench and prints its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--pause", type=float, default=4.0, help="seconds between a client's calls, on average")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--tiny", action="store_true", help="hash models")
    options = parser.parse_args()
    recipes = TINY if options.tiny else REAL
    with own_home():
        show(run(Setup(recipes, options.clients, 60 * options.minutes, options.pause)))


if __name__ == "__main__":
    main()
