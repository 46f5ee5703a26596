"""Is int8 as good as fp32, and is it the same whatever shares the run?

Question: Spearman correlation with STS-B's judgements (dev part), cosine of int8 to fp32 vectors, of the same text
alone and among others, and milliseconds per run.
Control: the fp32 file, and a float64 forward in numpy of the published weights.
Measured: every sentence of the dev part, one text a run; 64 of them also padded with others.

    python -m bench.quality FOLDER_WITH_sts_benchmark.jsonl.gz
"""

from __future__ import annotations

import gzip
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from bench import table
from bench.texts import padded
from services.backend import Run
from services.bert import forward, weights
from services.onnx import graph, located, run_of
from waypost import _core

SOURCE = "all-minilm-l6-v2"
LENGTHS = (11, 16, 32, 128, 256)
ROUNDS = 30


def sts(folder: Path) -> tuple[list[str], list[str], list[float]]:
    """Sentences, their partners, and how alike people found them."""
    with gzip.open(folder / "sts_benchmark.jsonl.gz", "rt") as lines:
        rows = [row for row in map(json.loads, lines) if row["split"] == "dev"]
    return [row["a"] for row in rows], [row["b"] for row in rows], [row["score"] for row in rows]


def main() -> None:
    """Runs the bench and prints its tables."""
    firsts, seconds, judged = sts(Path(sys.argv[1]))
    folder, facts = located(SOURCE)
    tokenizer = _core.Tokenizer(str(folder / "tokenizer.json"), facts.max_tokens)
    tokens = [np.array([ids]) for ids in tokenizer.encode(firsts + seconds, truncate=True)]
    runs = {form: run_of(graph(folder, facts, form), facts) for form in ("float32", "int8")}
    alone = {form: np.concatenate([run(ids, ids * 0 + 1, ids * 0) for ids in tokens]) for form, run in runs.items()}
    reference = forward.Forward(weights.load(folder, "vector", facts.pooling))
    exact = np.concatenate([reference(ids, ids * 0 + 1) for ids in tokens[:40]])
    rows = []
    for form, vectors in alone.items():
        half = len(firsts)
        liking = spearmanr((vectors[:half] * vectors[half:]).sum(axis=1), judged).statistic
        to_exact = (vectors * alone["float32"]).sum(axis=1)
        error = np.abs(vectors[: len(exact)] - exact).max()
        rows.append(
            [form, f"{liking:.4f}", f"{to_exact.mean():.4f}", f"{to_exact.min():.4f}", f"{error:.1e}",
             f"{among_equals(runs[form], tokens, vectors):.6f}",
             f"{among_longer(runs[form], tokens[:64], vectors):.4f}"]
        )  # fmt: skip
    table.show(
        f"{SOURCE} on STS-B dev ({len(judged)} pairs; {table.machine()})",
        ["file", "Spearman", "mean cosine to fp32", "least", "largest error to float64",
         "least cosine, alone and among equally long", "the same padded with longer ones"],
        rows,
    )  # fmt: skip
    show_speed(runs)


def among_equals(run: Run, tokens: list[NDArray[np.int64]], vectors: NDArray[np.float32]) -> float:
    """Least cosine of a text alone and in a run of texts of its length."""
    least = 1.0
    for length in sorted({ids.shape[1] for ids in tokens}):
        rows = [i for i, ids in enumerate(tokens) if ids.shape[1] == length][:32]
        batch = np.concatenate([tokens[i] for i in rows])
        together = run(batch, batch * 0 + 1, batch * 0)
        least = min(least, float((together * vectors[rows]).sum(axis=1).min()))
    return least


def among_longer(run: Run, tokens: list[NDArray[np.int64]], vectors: NDArray[np.float32]) -> float:
    """Least cosine of a text alone and padded to the longest of them."""
    batch, mask = padded([ids[0] for ids in tokens])
    return float((run(batch, mask, batch * 0) * vectors[: len(tokens)]).sum(axis=1).min())


def show_speed(runs: dict[str, Run]) -> None:
    """Median milliseconds of one text of so many tokens, on one thread."""
    spent: dict[tuple[str, int], list[float]] = {}
    for _ in range(ROUNDS):
        for length in LENGTHS:
            ids = np.random.default_rng(0).integers(1000, 20000, (1, length))
            for form, run in runs.items():
                began = time.perf_counter()
                run(ids, ids * 0 + 1, ids * 0)
                spent.setdefault((form, length), []).append((time.perf_counter() - began) * 1e3)
    median = {key: statistics.median(values) for key, values in spent.items()}
    rows = [[form, *(f"{median[form, length]:.2f}" for length in LENGTHS)] for form in runs]
    rows.append(["fp32 / int8", *(f"{median['float32', each] / median['int8', each]:.2f}" for each in LENGTHS)])
    table.show("One text, one thread, ms", ["file", *(f"{length} tokens" for length in LENGTHS)], rows)


if __name__ == "__main__":
    main()
