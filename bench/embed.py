"""How near does embedding through the mesh come to the model itself?

Question: texts per second through router and worker at 32 clients, one text a call, beside the best bare loop over the
same file in one process; and what a single client waits.
Control: bare loops over the same texts: the Rust tokenizer and onnxruntime on as many threads as there are cores, one
text a run, or sorted and padded to 512 tokens, or sorted into runs of equally long ones, whichever is best; the same
for the fp32 file.
Measured: texts per second; median latency, the lone client and the bare loop changing places every few texts.
Contenders take turns, medians over rounds are shown; the mesh pays for
its clients too, since the load generator runs on the same cores.

    python -m bench.embed
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from bench import mesh, table
from bench.texts import padded, texts
from services.backend import Run
from services.measure import groups
from services.onnx import graph, located, run_of
from waypost import _core, cpus
from waypost.config import Batching
from waypost.v1 import embed_pb2

SOURCE = "all-minilm-l6-v2"
PATH = "/waypost.v1.EmbedService/Embed"
ROUNDS, SECONDS, CLIENTS = 3, 2.0, 32
KINDS = {"short": 800, "long": 120, "mixed": 400}
"""Kinds of texts, and how many a bare loop runs in one go."""
BUDGET = 512
TURN, TURN_SECONDS = 10, 0.1

CONFIG = """
[[workers]]
name = "local"
vector_cache = 0
[[workers.models]]
name = "minilm"
source = "all-minilm-l6-v2"
precision = "{precision}"
"""


@dataclass
class Figures:
    """Of one contender and one kind of text, round by round."""

    rate: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)


class Bare:
    """The model in this process."""

    def __init__(self, precision: str) -> None:
        folder, facts = located(SOURCE)
        self.run: Run = run_of(graph(folder, facts, precision), facts)
        self.tokenizer = _core.Tokenizer(str(folder / "tokenizer.json"), facts.max_tokens)

    def one(self, text: str) -> None:
        self.batch([text])

    def batch(self, group: Sequence[str]) -> None:
        ids, mask = padded(self.tokenizer.encode(list(group)))
        self.run(ids, mask, np.zeros_like(mask))

    def single_rate(self, sample: Sequence[str]) -> float:
        return _rate(self.one, sample, len(sample))

    def padded_rate(self, sample: Sequence[str]) -> float:
        return self._rate_of(Batching(mode="budget", token_budget=BUDGET, max_rows=BUDGET), sample)

    def equal_rate(self, sample: Sequence[str]) -> float:
        return self._rate_of(Batching(mode="equal", token_budget=BUDGET, max_rows=BUDGET), sample)

    def _rate_of(self, plan: Batching, sample: Sequence[str]) -> float:
        lengths = self.tokenizer.count(list(sample))
        return _rate(self.batch, [[sample[i] for i in group] for group in groups(plan, lengths)], len(sample))

    def latencies(self, sample: Sequence[str]) -> list[float]:
        return [_seconds(self.one, text) for text in sample]


def _rate(work: Callable[..., None], items: Sequence[object], count: int) -> float:
    with ThreadPoolExecutor(cpus.available()) as pool:
        began = time.perf_counter()
        list(pool.map(work, items))
        return count / (time.perf_counter() - began)


def _seconds(work: Callable[[str], None], text: str) -> float:
    began = time.perf_counter()
    work(text)
    return time.perf_counter() - began


def through_mesh(address: str, sample: Sequence[str], clients: int, seconds: float) -> tuple[float, list[float]]:
    """Texts per second, and the calls' latencies in seconds."""
    payloads = [embed_pb2.EmbedRequest(texts=[text]).SerializeToString() for text in sample]
    latencies, elapsed = mesh.load(address, PATH, payloads, clients, seconds)
    return len(latencies) / elapsed, list(latencies)


def lone(address: str, bare: Bare, sample: Sequence[str]) -> tuple[float, float]:
    """Median milliseconds of a text in the bare loop, and of a single client's call."""
    alone: list[float] = []
    through: list[float] = []
    for start in range(0, 12 * TURN, TURN):
        alone += bare.latencies(sample[start : start + TURN])
        through += through_mesh(address, sample[start : start + TURN], 1, TURN_SECONDS)[1]
    return statistics.median(alone) * 1e3, statistics.median(through) * 1e3


def measure(address: str, exact_address: str) -> dict[tuple[str, str], Figures]:
    """All contenders, kind by kind, round by round."""
    found: dict[tuple[str, str], Figures] = {}
    small, exact = Bare("int8"), Bare("float32")
    for round_ in range(ROUNDS):
        for kind, count in KINDS.items():
            sample = texts(kind, count, seed=round_)
            rates = {
                "int8, one text a run": small.single_rate(sample),
                "int8, padded to 512": small.padded_rate(sample),
                "int8, equally long, up to 512": small.equal_rate(sample),
                "fp32, one text a run": exact.single_rate(sample[: count // 2]),
                "fp32, padded to 512": exact.padded_rate(sample[: count // 2]),
                "fp32, equally long, up to 512": exact.equal_rate(sample[: count // 2]),
                "mesh int8": through_mesh(address, sample, CLIENTS, SECONDS)[0],
                "mesh fp32": through_mesh(exact_address, sample, CLIENTS, SECONDS)[0],
            }
            for name, rate in rates.items():
                found.setdefault((name, kind), Figures()).rate.append(rate)
            alone, through = lone(address, small, sample)
            found["int8, one text a run", kind].p50_ms.append(alone)
            found["mesh int8", kind].p50_ms.append(through)
    return found


def show(found: dict[tuple[str, str], Figures]) -> None:
    """Rates of every contender, and the ratios that are asked of the mesh."""
    rate = {key: statistics.median(figures.rate) for key, figures in found.items()}
    names = list(dict.fromkeys(name for name, _ in found))
    rows = [[name, *(f"{rate[name, kind]:.0f}" for kind in KINDS)] for name in names]
    table.show(f"Embed, texts/s at {CLIENTS} clients ({table.machine()})", ["contender", *KINDS], rows)
    best = {
        (form, kind): max(rate[name, kind] for name in names if name.startswith(form))
        for form in ("int8", "fp32")
        for kind in KINDS
    }
    ratios = [
        ["mesh int8 / best bare int8", *(f"{rate['mesh int8', kind] / best['int8', kind]:.2f}" for kind in KINDS)],
        ["mesh fp32 / best bare fp32", *(f"{rate['mesh fp32', kind] / best['fp32', kind]:.2f}" for kind in KINDS)],
        ["mesh int8 / best bare fp32", *(f"{rate['mesh int8', kind] / best['fp32', kind]:.2f}" for kind in KINDS)],
    ]
    for name, of in (("bare int8 p50, one client, ms", "int8, one text a run"), ("mesh p50, ms", "mesh int8")):
        ratios.append([name, *(f"{statistics.median(found[of, kind].p50_ms):.2f}" for kind in KINDS)])
    table.show("Ratios and single-client latency", ["", *KINDS], ratios)


def main() -> None:
    """Runs the bench and prints its tables."""
    int8, float32 = (CONFIG.format(precision=each) for each in ("int8", "float32"))
    with mesh.running(int8) as small, mesh.running(float32) as exact:
        show(measure(small.address, exact.address))


if __name__ == "__main__":
    main()
