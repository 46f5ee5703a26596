"""Does the mesh generate as fast as llama.cpp's own server?

Question: tokens per second, time to the first token and gaps between tokens at 1, 4, 8 and 16 streaming clients; with a
long system prompt that all share; and how long others wait for a token when a long prompt arrives.
Control: llama-server of the same llama.cpp with the same GGUF, threads and slots, as it comes; the same tuned as
Waypost tunes itself (requantised weights, KV type, flash attention, threads that do not spin); `llama_cpp.server` at 8.
Measured: all clients begin at once, and each asks again as soon as its answer has ended.  Prompts are about 70 tokens,
no two alike; 64 new tokens, the likeliest ones, ends of text forbidden.  Contenders take turns and medians over rounds
are shown; router, worker and clients share the cores with what they measure.

    python -m bench.generate [--clients 1 4 8 16] [--rounds 3] [--only shared long] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import grpc.aio
import numpy as np

from bench import llama_server, streams, table
from bench import mesh as meshes
from bench.streams import Answer, Ask
from bench.texts import WORDS
from services.llama import calibrate, library, weights
from services.llama.model import Model
from services.llama.settings import Settings
from waypost import catalogue, config, cpus

SOURCE, NAME = "smollm2-135m-instruct", "smollm2"
CONTEXT, NEW_TOKENS, PROMPT_TOKENS, SYSTEM_TOKENS, LONG_TOKENS = 2560, 64, 70, 700, 2000
CLIENTS, ROUNDS, ASKED = (1, 4, 8, 16), 3, 4
"""Numbers of clients, and requests of each client in a round."""
WAITING, AFTER = 7, 8
"""Streams that a long prompt joins, and tokens they have by then."""

WAYPOST, SERVER, TUNED, PYTHON = "waypost", "llama-server", "llama-server, tuned", "llama_cpp.server"
SMALL_BATCH = "llama-server, tuned, batches of 64"
SCENARIOS = ("throughput", "python", "shared", "long")

CONFIG = """
[[workers]]
name = "writer"
[[workers.models]]
name = "{name}"
backend = "llama"
source = "{source}"
generate = {{ slots = {slots} }}
llama = {{ context = {context} }}
"""


@dataclass(frozen=True)
class Round:
    """What one contender did in one round."""

    tokens_per_s: float
    first_p50_s: float
    first_p95_s: float
    worst_gap_s: float
    client_cpu: float
    """Cores that the clients kept busy."""


@dataclass(frozen=True)
class Stall:
    """Of streams that a long prompt joined."""

    worst_gap_s: float
    before_s: float
    """The worst gap before it came."""
    first_s: float
    """Until its own first token."""


@dataclass(frozen=True)
class Place:
    """What all contenders run on."""

    source: Path
    tuned: Path
    settings: Settings
    threads: int
    never: Sequence[int]

    @classmethod
    @cache
    def here(cls) -> Place:
        """Settings as a worker of Waypost finds them."""
        source, _ = catalogue.gguf(SOURCE)
        settings = calibrate.settled(config.Llama(), source, cpus.available(), n_batch=512)
        tuned = weights.prepare(source, settings.weights)
        model = Model(source, settings, slots=1, context=256)
        try:
            return cls(source, tuned, settings, settings.threads, model.end_tokens())
        finally:
            model.close()

    def options(self) -> list[str]:
        """Of llama-server, to do as Waypost does."""
        kind, flash = self.settings.kv_type, "on" if self.settings.flash_attention else "off"
        return ["--cache-type-k", kind, "--cache-type-v", kind, "--flash-attn", flash, "--cache-ram", "0"]


class Prompts:
    """Prompts of random words, no two alike; a common English word is a token."""

    def __init__(self) -> None:
        self._random = random.Random(4)

    def of(self, tokens: int, before: str = "") -> str:
        """One more."""
        return before + " ".join(self._random.choices(WORDS.split(), k=tokens))


async def closed_loop(ask: Ask, prompts: Sequence[str], clients: int) -> Round:
    """All prompts answered by so many clients; the rate is that until the first of them finds nothing more to ask."""
    waiting, answers, ends = list(prompts), list[Answer](), list[float]()

    async def client() -> None:
        while waiting:
            answers.append(answer := Answer(time.perf_counter()))
            await ask(waiting.pop(), NEW_TOKENS, answer)
        ends.append(time.perf_counter())

    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(clients)))
    used = (time.process_time() - used) / (time.perf_counter() - began)
    tokens = sum(each.tokens_until(ends[0]) for each in answers)
    first = np.percentile([each.first_s for each in answers], [50, 95])
    gap = max(each.worst_gap_s() for each in answers)
    return Round(tokens / (ends[0] - began), float(first[0]), float(first[1]), gap, used)


async def joined(ask: Ask, prompts: Prompts) -> Stall:
    """A long prompt arrives while others are being answered."""
    answers = [Answer(time.perf_counter()) for _ in range(WAITING)]
    # Enough for the longest wait, as they must outlast it.
    asked = [asyncio.create_task(ask(prompts.of(PROMPT_TOKENS), 2 * NEW_TOKENS, each)) for each in answers]
    while min(len(each.pieces) for each in answers) < AFTER:
        await asyncio.sleep(0.01)
    came = time.perf_counter()
    # The wave of prompts before is no part of it.
    before = max(each.worst_gap_s(max(other.pieces[0] for other in answers)) for each in answers)
    await ask(prompts.of(LONG_TOKENS), AFTER, long := Answer(came))
    await asyncio.gather(*asked)
    gap = max(each.worst_gap_s(came, long.pieces[0]) for each in answers)
    return Stall(gap, before, long.first_s)


@asynccontextmanager
async def running(names: Sequence[str], slots: int) -> AsyncIterator[dict[str, Ask]]:
    """All contenders with so many slots; those without a turn wait without using the cores."""
    place = Place.here()
    async with AsyncExitStack() as stack:
        yield {name: await _started(name, place, slots, stack) for name in names}


async def _started(name: str, place: Place, slots: int, stack: AsyncExitStack) -> Ask:
    if name == WAYPOST:
        toml = CONFIG.format(name=NAME, source=place.source, slots=slots, context=CONTEXT)
        running = stack.enter_context(meshes.running(toml))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(running.address))
        return streams.mesh(channel, NAME, place.never)
    if name == PYTHON:
        server = llama_server.python_server(place.source, threads=place.threads, context=CONTEXT)
        return streams.python(stack.enter_context(server), place.never)
    options = [] if name == SERVER else place.options()
    options += ["--batch-size", "64", "--ubatch-size", "64"] if name == SMALL_BATCH else []
    return streams.llama(
        stack.enter_context(
            llama_server.llama_server(
                place.source if name == SERVER else place.tuned,
                threads=place.threads,
                slots=slots,
                context=CONTEXT,
                options=options,
                env={} if name == SERVER else library.ENVIRONMENT,
            )
        )
    )


async def throughput(clients: int, rounds: int) -> dict[str, list[Round]]:
    """Different prompts."""
    prompts = Prompts()

    def drawn() -> list[str]:
        return [prompts.of(PROMPT_TOKENS) for _ in range(ASKED * clients)]

    return await _rounds([WAYPOST, SERVER, TUNED], clients, rounds, drawn)


async def one_at_a_time() -> dict[str, list[Round]]:
    """Beside the server that comes with llama-cpp-python: so slow that one request of each client must do."""
    prompts = Prompts()
    return await _rounds([WAYPOST, PYTHON], 8, 1, lambda: [prompts.of(PROMPT_TOKENS) for _ in range(8)])


async def shared(rounds: int) -> dict[str, list[Round]]:
    """A new system prompt each round, shared by all requests of the round."""
    prompts = Prompts()

    def drawn() -> list[str]:
        system = prompts.of(SYSTEM_TOKENS)
        return [prompts.of(PROMPT_TOKENS, before=f"{system}. ") for _ in range(ASKED * 8)]

    return await _rounds([WAYPOST, SERVER, TUNED], 8, rounds, drawn)


async def _rounds(
    names: Sequence[str], clients: int, rounds: int, drawn: Callable[[], list[str]]
) -> dict[str, list[Round]]:
    found: dict[str, list[Round]] = defaultdict(list)
    async with running(names, clients) as contenders:
        for ask in contenders.values():
            await ask("Once upon a time", 4, Answer(0.0))
        for round_ in range(rounds):
            # Who went first goes last in the next round.
            for name in [*names[round_ % len(names) :], *names[: round_ % len(names)]]:
                found[name].append(await closed_loop(contenders[name], drawn(), clients))
    return found


async def stalls(rounds: int) -> dict[str, list[Stall]]:
    """A long prompt among short answers."""
    found: dict[str, list[Stall]] = defaultdict(list)
    prompts = Prompts()
    async with running([WAYPOST, SERVER, TUNED, SMALL_BATCH], WAITING + 1) as contenders:
        for _ in range(rounds):
            for name, ask in contenders.items():
                found[name].append(await joined(ask, prompts))
    return found


def show_rounds(title: str, found: dict[str, list[Round]]) -> None:
    """One table, with ratios to Waypost."""
    table.show(
        title,
        [
            "contender",
            "tokens/s",
            "waypost is, times",
            "first token p50, p95 ms",
            "waypost's p95 is",
            "worst gap ms",
            "client cores",
        ],
        [_row(name, found) for name in found],
    )


def _row(name: str, found: dict[str, list[Round]]) -> list[str]:
    return [
        name,
        f"{_median(found[name], 'tokens_per_s'):.1f}",
        _ratio(found, name, "tokens_per_s"),
        f"{_median(found[name], 'first_p50_s') * 1e3:.0f}, {_median(found[name], 'first_p95_s') * 1e3:.0f}",
        _ratio(found, name, "first_p95_s"),
        f"{_median(found[name], 'worst_gap_s') * 1e3:.0f}",
        f"{_median(found[name], 'client_cpu'):.2f}",
    ]


def _ratio(found: dict[str, list[Round]], name: str, of: str) -> str:
    """Median over rounds of Waypost's figure by the contender's in the same round."""
    pairs = zip(found[WAYPOST], found[name], strict=True)
    return f"{statistics.median(getattr(ours, of) / getattr(theirs, of) for ours, theirs in pairs):.2f}"


def _median(rounds: Sequence[Round], of: str) -> float:
    return statistics.median(getattr(each, of) for each in rounds)


def show_stalls(found: dict[str, list[Stall]]) -> None:
    """Of the rounds, the median and the worst."""
    rows = []
    for name, each in found.items():
        gaps = [stall.worst_gap_s * 1e3 for stall in each]
        before, first = (statistics.median(getattr(one, of) for one in each) for of in ("before_s", "first_s"))
        rows.append([name, f"{statistics.median(gaps):.0f}, {max(gaps):.0f}", f"{before * 1e3:.0f}", f"{first:.1f}"])
    header = ["contender", "worst gap, median and worst round, ms", "worst before it came, ms", "its first token, s"]
    table.show(f"A prompt of {LONG_TOKENS} tokens arrives among {WAITING} streams", header, rows)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=SCENARIOS, nargs="+")
    parser.add_argument("--json", type=Path, help="writes all rounds there")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = ()) -> None:
    """Runs the bench and prints its tables."""
    asked = parsed(arguments)
    wanted = asked.only or SCENARIOS
    place, kept = Place.here(), dict[str, object]()
    print(f"{table.machine()}; {place.threads} threads; tuned: {place.settings}")
    if "throughput" in wanted:
        for clients in asked.clients:
            kept[f"{clients} clients"] = rounds = asyncio.run(throughput(clients, asked.rounds))
            show_rounds(f"{clients} clients", rounds)
    if "python" in wanted:
        kept["python"] = rounds = asyncio.run(one_at_a_time())
        show_rounds("8 clients, one request each", rounds)
    if "shared" in wanted:
        kept["shared"] = rounds = asyncio.run(shared(asked.rounds))
        show_rounds(f"8 clients, a system prompt of {SYSTEM_TOKENS} tokens, new in every round", rounds)
    if "long" in wanted:
        kept["long"] = found = asyncio.run(stalls(asked.rounds))
        show_stalls(found)
    if asked.json:
        asked.json.write_text(json.dumps(kept, indent=1, default=asdict))


if __name__ == "__main__":
    main(None)
