"""Queries with judged documents, and how good an order of documents is.

One collection comes with the project (tests/data/retrieval); others are made of public data sets, which do not: a
sentence is to find its paraphrase (STS-B), a request those of the same intent (Banking77, CLINC150).  Half of each
collection is there to choose methods by, the other is kept aside: subjects, sentences or intents of the one are not
in the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.heads import jsonl

SHIPPED = Path(__file__).parent.parent / "tests" / "data" / "retrieval"
CUT = 10
"""Documents of an order that count."""
KINDS = ("exact", "paraphrase", "mixed")
FOUND_OF_INTENT, ASKED_OF_INTENT = 20, 3


@dataclass(frozen=True)
class Query:
    """A query, and what is right."""

    text: str
    need: str
    """Queries of one need are no independent witnesses: intervals are drawn by need."""
    kind: str
    grades: Mapping[int, int]
    """Of documents by their place."""
    aside: bool


@dataclass(frozen=True)
class Collection:
    """Documents and queries."""

    name: str
    documents: list[str]
    queries: list[Query]


def shipped() -> Collection:
    """The one that comes with the project."""
    documents = _lines(SHIPPED / "documents.jsonl")
    needs = _lines(SHIPPED / "needs.jsonl")
    place = {each["id"]: index for index, each in enumerate(documents)}
    subjects = list(dict.fromkeys(need["domain"] for need in needs))
    queries = [
        Query(
            text=need["queries"][kind],
            need=need["id"],
            kind=kind,
            grades={place[id]: grade for id, grade in need["grades"].items()},
            aside=subjects.index(need["domain"]) % 2 == 1,
        )
        for need in needs
        for kind in KINDS
    ]
    return Collection("shipped", [each["text"] for each in documents], queries)


def paraphrases(data: Path) -> Collection:
    """A sentence is to find the one that says the same."""
    rows = [row for row in jsonl.rows(data / "sts_benchmark.jsonl.gz") if row["split"] == "dev" and row["score"] >= 4]
    firsts = {row["b"]: row["a"] for row in rows if row["a"] != row["b"]}
    queries = [
        Query(text, need=document, kind="paraphrase", grades={place: 1}, aside=place % 2 == 1)
        for place, (document, text) in enumerate(firsts.items())
    ]
    return Collection("sentence to its paraphrase (STS-B)", list(firsts), queries)


def intents(data: Path, file: str, name: str) -> Collection:
    """A request is to find those of the same intent."""
    texts: dict[str, list[str]] = {}
    for row in jsonl.rows(data / file):
        if row.get("split", "train") == "train" and row["label"] != "oos":
            texts.setdefault(row["label"], []).append(row["text"])
    documents, queries = [], []
    for number, (label, of_label) in enumerate(sorted(texts.items())):
        right = {len(documents) + place: 1 for place in range(len(of_label[:FOUND_OF_INTENT]))}
        documents += of_label[:FOUND_OF_INTENT]
        asked = of_label[FOUND_OF_INTENT : FOUND_OF_INTENT + ASKED_OF_INTENT]
        queries += [Query(text, label, "intent", right, number % 2 == 1) for text in asked]
    return Collection(name, documents, queries)


def public(data: Path) -> list[Collection]:
    """All that are made of public data sets."""
    return [
        paraphrases(data),
        intents(data, "intent_banking77_train.jsonl.gz", "request to its intent (Banking77)"),
        intents(data, "intent_clinc150.jsonl.gz", "request to its intent (CLINC150)"),
    ]


def ndcg(order: Sequence[int], grades: Mapping[int, int]) -> float:
    """Normalised discounted cumulative gain of the first ten, with gains of `2**grade - 1` (Burges et al. 2005)."""
    best = sorted(grades.values(), reverse=True)
    return _gain([grades.get(place, 0) for place in order]) / _gain(best)


def _gain(grades: Sequence[int]) -> float:
    gains = np.exp2(grades[:CUT]) - 1
    return float((gains / np.log2(np.arange(2, len(gains) + 2))).sum())


def interval(values: NDArray[np.float64], needs: Sequence[str], draws: int = 2000) -> tuple[float, float]:
    """95 % of the mean, by drawing needs with all their queries."""
    _, of = np.unique(needs, return_inverse=True)
    sums, counts = np.bincount(of, values), np.bincount(of)
    drawn = np.random.default_rng(20).integers(len(sums), size=(draws, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
