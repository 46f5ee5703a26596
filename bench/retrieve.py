"""How near do searches through the mesh come to the bare index?

Question: queries per second, recall@10, time to build and memory of the embedded store, in process and through router
and worker, over 100,000 vectors of 384 numbers in clusters; without a filter, and with filters that let 1, 10 and 50 %
of the documents pass, or a tenth that is mostly elsewhere than the query.
Control: bare hnswlib with the same graph; usearch, pgvector, and an exact search in numpy beside them, in the same run.
Measured: 64 queries a call, results by id.  Each contender has a process of its own and all cores; they take turns, and
medians over rounds are shown.  Recall is looked at outside of what is measured.  Memory is what the process takes
beside the vectors as given (of pgvector: table and indexes; through gRPC: the worker's process).

    python -m bench.retrieve                  # all; about ten minutes on two cores
    python -m bench.retrieve --vectors 20000 --rounds 1
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from bench import table
from bench.indexes import NAMES, NO_FILTER, TOP, Data, Exact, Ids, Test, contender

DIMENSIONS, CLUSTERS, QUERIES = 384, 1000, 1024
TESTS: dict[str, Test | None] = {
    "all": None,
    "1 %": Test("lot", 10),
    "10 %": Test("lot", 100),
    "50 %": Test("lot", 500),
    "10 %, elsewhere": Test("place", 100),
}
"""`lot` is by chance, `place` is the cluster."""
CHECKED = 256
"""Queries that recall is looked at by."""
BASELINE = "hnswlib"


@dataclass
class Figures:
    """Of one contender."""

    build_s: float = 0.0
    bytes: int = 0
    recall: dict[str, float] = field(default_factory=dict)
    rates: dict[str, list[float]] = field(default_factory=dict)


def data(vectors: int, seed: int = 1) -> Data:
    """Clusters of uneven size around centres by chance; within them a few directions matter more than the others, as in
    vectors of texts.  Queries are of the same kind, and none of the documents."""
    generator = np.random.default_rng(seed)
    sizes = generator.zipf(1.3, CLUSTERS).clip(max=50).astype(float)
    of = generator.choice(CLUSTERS, vectors + QUERIES, p=sizes / sizes.sum())
    centres = generator.standard_normal((CLUSTERS, DIMENSIONS), dtype=np.float32)
    directions = generator.standard_normal((32, DIMENSIONS), dtype=np.float32)
    within = generator.standard_normal((len(of), 32), dtype=np.float32) @ directions / np.float32(32**0.5)
    noise = generator.standard_normal((len(of), DIMENSIONS), dtype=np.float32)
    points = centres[of] + np.float32(0.8) * within + np.float32(0.4) * noise
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    fields = {"lot": generator.integers(0, 1000, vectors), "place": of[:vectors]}
    return Data(points[:vectors], points[vectors:], fields)


class Remote:
    """A contender in a process of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_host, args=(name, folder, theirs))
        self._process.start()

    def ask(self, method: str, *arguments: Any) -> Any:
        """Calls a method there."""
        self._pipe.send((method, arguments))
        answer = self._pipe.recv()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def end(self) -> None:
        """What it had open is closed with it."""
        self._pipe.send(None)
        self._process.join(120)


def _host(name: str, folder: Path, pipe: Connection) -> None:
    known = _saved(folder)
    hosted = contender(name, folder)
    calls = {
        "build": lambda: hosted.build(known),
        "found": lambda label: hosted.found(known.queries[:CHECKED], TESTS[label]),
        "rate": lambda label, seconds: hosted.rate(known, TESTS[label], seconds),
        "bytes": hosted.bytes,
        "ready": lambda: None,
    }
    with closing(hosted):
        while (said := pipe.recv()) is not None:
            method, arguments = said
            try:
                pipe.send(calls[method](*arguments))
            except Exception as error:
                pipe.send(error)


def _save(known: Data, folder: Path) -> None:
    for name, array in {"vectors": known.vectors, "queries": known.queries, **known.fields}.items():
        np.save(folder / f"{name}.npy", array)


def _saved(folder: Path) -> Data:
    """The vectors are mapped, so that they are nobody's own memory."""
    read = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("vectors", "queries", "lot", "place")}
    return Data(read["vectors"], np.array(read["queries"]), {name: np.array(read[name]) for name in ("lot", "place")})


def measure(names: Sequence[str], vectors: int, rounds: int, seconds: float) -> dict[str, Figures]:
    """All contenders: built one after the other, then asked in turns."""
    figures = {name: Figures() for name in names}
    with tempfile.TemporaryDirectory() as made:
        folder, known = Path(made), data(vectors)
        _save(known, folder)
        right = {label: _exact(known, folder, test) for label, test in TESTS.items()}
        with _running(names, folder) as remotes:
            for name, remote in remotes.items():
                _build(remote, figures[name])
                print(f"{name}: built in {figures[name].build_s:.0f} s", file=sys.stderr)
            for _ in range(rounds):
                for label in TESTS:
                    for name, remote in remotes.items():
                        if _can(name, label):
                            rate = remote.ask("rate", label, seconds)
                            figures[name].rates.setdefault(label, []).append(rate)
            for name, remote in remotes.items():
                figures[name].recall = {
                    label: _recall(remote.ask("found", label), right[label]) for label in TESTS if _can(name, label)
                }
    return figures


@contextmanager
def _running(names: Sequence[str], folder: Path) -> Iterator[dict[str, Remote]]:
    remotes = {name: Remote(name, folder) for name in names}
    try:
        yield remotes
    finally:
        for remote in remotes.values():
            remote.end()


def _build(remote: Remote, figures: Figures) -> None:
    remote.ask("ready")
    began = time.perf_counter()
    remote.ask("build")
    figures.build_s = time.perf_counter() - began
    figures.bytes = remote.ask("bytes")


def _can(name: str, label: str) -> bool:
    return TESTS[label] is None or name not in NO_FILTER


def _exact(known: Data, folder: Path, test: Test | None) -> Ids:
    exact = Exact(folder)
    exact.build(known)
    return exact.found(known.queries[:CHECKED], test)


def _recall(found: Ids, right: Ids) -> float:
    """Share of the right ones that were found."""
    hits = sum(len(set(some[some >= 0]) & set(all_[all_ >= 0])) for some, all_ in zip(found, right, strict=True))
    return hits / int((right >= 0).sum())


def show(figures: dict[str, Figures], vectors: int) -> None:
    """What each takes and gives; and what becomes of it under filters."""
    header = ("contender", "build s", "memory MB", "recall@10", "queries/s", f"times {BASELINE}")
    rows = [(name, *_row(each, figures.get(BASELINE))) for name, each in figures.items()]
    table.show(f"{vectors:,} vectors of {DIMENSIONS} ({table.machine()})", header, rows)
    labels = [label for label, test in TESTS.items() if test]
    header = ("contender", *(f"{label}: recall@{TOP}, queries/s" for label in labels))
    rows = [(name, *(_under(each, label) for label in labels)) for name, each in figures.items() if len(each.rates) > 1]
    table.show("Filters, by the share that passes", header, rows)


def _row(each: Figures, baseline: Figures | None) -> tuple[str, ...]:
    rates = each.rates["all"]
    ratios = [mine / bare for mine, bare in zip(rates, baseline.rates["all"], strict=True)] if baseline else [0.0]
    told = f"{each.build_s:.0f}", f"{each.bytes / 1e6:.0f}", f"{each.recall['all']:.3f}"
    return *told, f"{statistics.median(rates):.0f}", f"{statistics.median(ratios):.2f}"


def _under(each: Figures, label: str) -> str:
    return f"{each.recall[label]:.3f}, {statistics.median(each.rates[label]):.0f}"


def main() -> None:
    """Runs the bench and prints its tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    asked, _ = parser.parse_known_args()
    show(measure(asked.only, asked.vectors, asked.rounds, asked.seconds), asked.vectors)


if __name__ == "__main__":
    main()
