"""What do tokenising and hashing cost in Rust, beside the ways Python has?

Question: microseconds per text of `waypost._core.Tokenizer` and `hash_embed`; and what a run costs that computes
nothing: the way through Python and onnxruntime that every run of a model pays.
Control: the `tokenizers` package on the same file, and the same hashed features built in Python with numpy.
Measured: one thread, texts one at a time, contenders interleaved, median of rounds.

    python -m bench.features
"""

from __future__ import annotations

import statistics
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from tokenizers import Tokenizer

from bench import table
from bench.texts import texts
from services.onnx import located
from services.sessions import open_session, runner
from waypost import _core

ROUNDS, TEXTS, DIMENSIONS = 7, 500, 384


def grams(text: str) -> Iterator[str]:
    """Words, pairs of words, and runs of three to five characters."""
    words = text.lower().split()
    yield from words
    yield from (" ".join(pair) for pair in pairwise(words))
    padded = f" {' '.join(words)} "
    yield from (padded[i : i + n] for n in (3, 4, 5) for i in range(len(padded) - n + 1))


def hashed_in_python(text: str) -> NDArray[np.float32]:
    """Signed feature hashing with the standard library's fastest hash, summed by numpy."""
    keys = np.array([zlib.crc32(gram.encode()) for gram in grams(text)], dtype=np.int64)
    vector = np.bincount(keys % DIMENSIONS, weights=1 - 2 * (keys >> 31 & 1), minlength=DIMENSIONS)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def contenders() -> dict[str, Callable[[str], object]]:
    """By task and way."""
    path = str(located("all-minilm-l6-v2")[0] / "tokenizer.json")
    ours, theirs = _core.Tokenizer(path, 256), Tokenizer.from_file(path)
    theirs.no_padding()
    theirs.enable_truncation(256)
    return {
        "tokenise: waypost": lambda text: ours.encode([text], truncate=True),
        "tokenise: tokenizers (Rust, called from Python)": lambda text: theirs.encode(text).ids,
        "hash embedding, 384-d: waypost": lambda text: _core.hash_embed([text], DIMENSIONS),
        "hash embedding, 384-d: Python and numpy": hashed_in_python,
        "a run that computes nothing": empty_run(),
    }


def empty_run() -> Callable[[str], object]:
    """A session as the worker runs it, of a graph that only casts its input."""
    ids, out = (
        helper.make_tensor_value_info(name, kind, ["n", "tokens"])
        for name, kind in (("input_ids", TensorProto.INT64), ("out", TensorProto.FLOAT))
    )
    cast = helper.make_node("Cast", ["input_ids"], ["out"], to=TensorProto.FLOAT)
    graph = helper.make_graph([cast], "empty", [ids], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        run = runner(open_session(path))
    tokens = np.ones((1, 11), dtype=np.int64)
    return lambda text: run(tokens, tokens, tokens)


def microseconds(work: Callable[[str], object], sample: list[str]) -> float:
    began = time.perf_counter()
    for text in sample:
        work(text)
    return (time.perf_counter() - began) / len(sample) * 1e6


def main() -> None:
    """Runs the bench and prints its table."""
    ways, rows = contenders(), []
    samples = {kind: texts(kind, TEXTS) for kind in ("short", "long")}
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for kind, sample in samples.items():
            for name, work in ways.items():
                found.setdefault((name, kind), []).append(microseconds(work, sample))
    for name in ways:
        rows.append([name, *(f"{statistics.median(found[name, kind]):.1f}" for kind in samples)])
    table.show(f"us per text ({table.machine()})", ["task: way", *(f"{kind} texts" for kind in samples)], rows)


if __name__ == "__main__":
    main()
