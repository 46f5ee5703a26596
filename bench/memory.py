"""What does a whole mesh take in memory while it works?

Question: does `waypost up --profile 2gb` stay within 2 GB (2e9 bytes) while it embeds, classifies, reranks and writes?
Control: the embedded default, by `--profile default`.
Measured: resident memory of all its processes together, every 0.2 s while clients call all four services through router
and gateway, with texts as long as the models read; and the most that each process ever took, its start included, as the
kernel says (VmHWM).  The sum of these is more than there was at any time, and is what is held to the limit.  Sums count
pages that processes share once for each: what the machine has to give is the last line (PSS, at the end).

    python -m bench.memory [--profile 2gb] [--seconds 60]
"""

from __future__ import annotations

import argparse
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import get_args

import httpx
import psutil

from bench import table
from bench.mesh import Mesh, running
from router.life.memory import peak_of_process
from waypost import config
from waypost.client import Client

LIMIT = 2_000_000_000
EVERY_S = 0.2
CLIENTS = 3
"""Of each service; those who write are one more than the model has slots."""
WRITERS = 5
PATIENCE_S = 600.0
TEXTS = 4
"""Of one call; a run of the model takes as many tokens however many there are."""
READ = 240
"""Words that the encoder reads, about."""
LONGEST = 2500
"""Words of the longest prompt: with its answer nearly all that a slot has."""
WORDS = ("the", "model", "reads", "a", "long", "text", "of", "words", "that", "it", "knows")
MB = 1e6


@dataclass
class Peaks:
    """The most that was seen, in bytes: of all processes together, and of each; and at last, with shared pages once."""

    together: int = 0
    shared: int = 0
    each: dict[str, int] = field(default_factory=dict)

    @property
    def sum(self) -> int:
        """What all would take if each took its most at the same time."""
        return sum(self.each.values())

    def see(self, mesh: Sequence[psutil.Process]) -> None:
        """Looks at the processes of a mesh."""
        self.together = max(self.together, sum(process.memory_info().rss for process in mesh))

    def end(self, mesh: Sequence[psutil.Process]) -> None:
        """Looks at them for the last time."""
        self.shared = sum(process.memory_full_info().pss for process in mesh)
        self.each = {_named(process.cmdline()): peak_of_process(process.pid) for process in mesh}


@contextmanager
def watched(pid: int) -> Iterator[Peaks]:
    """Looks at a mesh until the block is left."""
    own = psutil.Process(pid)
    mesh = [own, *own.children()]
    peaks, over = Peaks(), threading.Event()

    def watch() -> None:
        while not over.wait(EVERY_S):
            peaks.see(mesh)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peaks
        peaks.end(mesh)
    finally:
        over.set()
        thread.join()


def _named(command: Sequence[str]) -> str:
    """The worker's name, or the kind of process."""
    if "--name" in command:
        return f"worker {command[command.index('--name') + 1]}"
    return next((kind for kind in ("router", "http", "up") if kind in command), "other")


class Caller:
    """One client, of router and gateway; its texts have up to so many words."""

    def __init__(self, client: Client, http: httpx.Client, seed: int, longest: int) -> None:
        self._client = client
        self._http = http
        self._draw = random.Random(seed)
        self._longest = longest

    def embed(self) -> object:
        """Texts of all lengths."""
        texts = [self._text(self._draw.randrange(1, READ)) for _ in range(TEXTS)]
        return self._client.embed(texts, model="minilm", truncate=True)

    def embed_by_http(self) -> object:
        """The same through the gateway."""
        body = {"model": "minilm", "input": [self._text(READ // 2) for _ in range(TEXTS)]}
        return self._http.post("/v1/embeddings", json=body).raise_for_status()

    def classify(self) -> object:
        """By one of the heads."""
        return self._client.classify([self._text(READ // 4) for _ in range(TEXTS)], head="sentiment", model="minilm")

    def rerank(self) -> object:
        """Documents for a query."""
        documents = [self._text(READ // 2) for _ in range(TEXTS)]
        return self._client.rerank(self._text(8), documents, model="minilm")

    def write(self) -> object:
        """After prompts of all lengths."""
        prompt = self._text(self._draw.choice((10, 10, 10, self._longest)))
        return self._client.generate(prompt, model="smollm2", max_tokens=32)

    def _text(self, words: int) -> str:
        return " ".join(self._draw.choices(WORDS, k=words))


SERVICES: dict[Callable[[Caller], object], int] = {
    Caller.embed: CLIENTS,
    Caller.embed_by_http: CLIENTS,
    Caller.classify: CLIENTS,
    Caller.rerank: CLIENTS,
    Caller.write: WRITERS,
}


def called(mesh: Mesh, seconds: float, longest: int) -> Counter[str]:
    """Calls all services for a while, each client at least once: how many calls of each were answered.

    Raises:
        Exception: a call failed.
    """
    until, counts = time.monotonic() + seconds, Counter[str]()

    def work(call: Callable[[Caller], object], seed: int) -> None:
        with Client(mesh.address, timeout=PATIENCE_S) as client, _gateway(mesh) as http:
            caller = Caller(client, http, seed, longest)
            while True:
                call(caller)
                counts[call.__name__] += 1
                if time.monotonic() >= until:
                    return

    jobs = [call for call, many in SERVICES.items() for _ in range(many)]
    with ThreadPoolExecutor(len(jobs)) as clients:
        for done in [clients.submit(work, call, seed) for seed, call in enumerate(jobs)]:
            done.result()
    return counts


def _gateway(mesh: Mesh) -> httpx.Client:
    assert mesh.http
    return httpx.Client(base_url=mesh.http, timeout=PATIENCE_S)


def turn(profile: config.Profile, seconds: float, longest: int) -> tuple[Peaks, Counter[str]]:
    """One run: what the mesh took at most, and the calls that it answered."""
    with running(config.default_text(profile)) as mesh, watched(mesh.pid) as peaks:
        return peaks, called(mesh, seconds, longest)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", choices=get_args(config.Profile), default="2gb")
    parser.add_argument("--seconds", type=float, default=60.0)
    asked, _ = parser.parse_known_args()
    peaks, counts = turn(asked.profile, asked.seconds, LONGEST)
    print(table.machine())
    print(f"{asked.seconds:g} s, answered: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    rows = [(name, f"{size / MB:.0f}") for name, size in sorted(peaks.each.items())]
    sums = {
        "sum of these": peaks.sum,
        "together, sampled": peaks.together,
        "shared pages once, at the end": peaks.shared,
    }
    rows += [(name, f"{size / MB:.0f}") for name, size in sums.items()]
    table.show(f"Resident memory of the profile {asked.profile}, at most", ("process", "MB"), rows)
    print(f"\n{'within' if peaks.sum <= LIMIT else 'MORE THAN'} {LIMIT / MB:g} MB")


if __name__ == "__main__":
    main()
