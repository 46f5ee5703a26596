"""Which way of fusing what is found by vector and by words puts the best documents first?

Question: nDCG@10 of `services.retrieve.fuse` beside the two searches alone and the usual ways of fusing them, with the
vectors of MiniLM and with those of hashed words.  Control: each search alone.
Both searches are the embedded store's, 100 documents each.  A method is chosen by the half of each collection that is
for that (`--chosen`), and told by the half that is kept aside.

    python -m bench.fusion                    # the collection that comes with the project
    python -m bench.fusion --data FOLDER      # and those made of public data sets
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import judged, table
from bench.judged import Collection, Query
from services.encoder import Encode, open_encoder
from services.retrieve.embedded import opened
from services.retrieve.fuse import fuse
from services.retrieve.store import Entry, Found, Space
from tests.documents import fetched
from waypost._core import hash_embed

DEPTH = 100
NOW = 0.0
Floats = NDArray[np.float64]
Method = Callable[[Found, Found], list[int]]


@dataclass(frozen=True)
class Both:
    """What the two searches found for a query."""

    query: Query
    dense: Found
    words: Found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--chosen", action="store_true", help="the half that methods are chosen by")
    asked, _ = parser.parse_known_args()
    collections = [judged.shipped(), *(judged.public(asked.data) if asked.data else [])]
    for name, encode in (("MiniLM int8", open_encoder(precision="int8")), ("hashed words", _hashed)):
        for collection in collections:
            found = [each for each in searched(collection, encode) if each.query.aside != asked.chosen]
            _show(f"{collection.name}, {name}", found)
    print(f"\n{table.machine()}")


def _hashed(texts: Sequence[str]) -> NDArray[np.float32]:
    return hash_embed(texts, 1024)


def searched(collection: Collection, encode: Encode) -> list[Both]:
    """Both searches for every query, by an embedded store in a folder that goes away; keys are places."""
    space = Space("bench", "judged")
    with tempfile.TemporaryDirectory() as folder:
        store = opened(Path(folder), max_bytes=1 << 30, exact_up_to=len(collection.documents))
        vectors = encode(collection.documents)
        pairs = zip(collection.documents, vectors, strict=True)
        store.upsert(space, [Entry(str(at), text, {}, vector, None) for at, (text, vector) in enumerate(pairs)], NOW)
        texts = [query.text for query in collection.queries]
        dense = store.dense(space, encode(texts), DEPTH, None, NOW)
        words = store.words(space, texts, DEPTH, None, NOW)
        keys = {int(key) for each in (*dense, *words) for key in each.keys}
        place = {key: int(kept.id) for key, kept in fetched(store, space, sorted(keys), with_text=False).items()}
        store.close()
    asked = zip(collection.queries, dense, words, strict=True)
    return [Both(query, _placed(first, place), _placed(second, place)) for query, first, second in asked]


def _placed(found: Found, place: dict[int, int]) -> Found:
    return Found(np.array([place[int(key)] for key in found.keys], np.int64), found.scores)


def ours(dense: Found, words: Found) -> list[int]:
    """As it is served."""
    return [key for key, *_ in fuse(dense, words, DEPTH)]


def ranks(share: float) -> Method:
    """Reciprocal ranks, `1 / (60 + rank)`; `share` is the vectors'."""
    return _sum(share, lambda scores: 1 / (61 + np.arange(len(scores))))


def scaled(share: float) -> Method:
    """Scores between the list's least and its largest."""
    return _sum(share, lambda scores: (scores - scores.min()) / (np.ptp(scores) or 1))


def standardised(share: float) -> Method:
    """Scores in standard deviations above the list's least."""
    return _sum(share, lambda scores: (scores - scores.min()) / (scores.std() or 1))


def distribution(dense: Found, words: Found) -> list[int]:
    """Scores between three standard deviations below the list's mean and three above (DBSF, as in Qdrant)."""

    def share(scores: Floats) -> Floats:
        width = 3 * (scores.std() or 1)
        return np.clip((scores - scores.mean() + width) / (2 * width), 0, 1)

    return _sum(0.5, share)(dense, words)


def _sum(share: float, points: Callable[[Floats], Floats]) -> Method:
    def order(dense: Found, words: Found) -> list[int]:
        total: dict[int, float] = {}
        for found, weight in ((dense, share), (words, 1 - share)):
            if len(found.keys):
                for key, point in zip(found.keys.tolist(), points(np.float64(found.scores)), strict=True):
                    total[key] = total.get(key, 0.0) + weight * point
        return sorted(total, key=lambda key: -total[key])

    return order


METHODS: dict[str, Method] = {
    "BM25": lambda dense, words: words.keys.tolist(),
    "vectors": lambda dense, words: dense.keys.tolist(),
    "ranks (RRF, k = 60)": ranks(0.5),
    "ranks, 0.7 for vectors": ranks(0.7),
    "DBSF": distribution,
    "scaled, 0.5": scaled(0.5),
    "scaled, 0.8 for vectors": scaled(0.8),
    "standardised, 0.8 for vectors": standardised(0.8),
    "closeness + prominence (ours)": ours,
}


def _show(title: str, found: Sequence[Both]) -> None:
    needs = [each.query.need for each in found]
    gains = {name: gained(method, found) for name, method in METHODS.items()}
    header = ("method", *_kinds(found), "nDCG@10", "[95 %]", "ours is better by", "[95 %]")
    mine = gains["closeness + prominence (ours)"]
    rows = [
        (name, *_by_kind(each, found), f"{each.mean():.3f}", _span(each, needs), *_better(mine - each, needs))
        for name, each in gains.items()
    ]
    table.show(f"{title}: {len(found)} queries of {len(set(needs))} needs", header, rows)


def gained(method: Method, found: Sequence[Both]) -> Floats:
    """nDCG of every query."""
    return np.array([judged.ndcg(method(each.dense, each.words), each.query.grades) for each in found])


def _kinds(found: Sequence[Both]) -> list[str]:
    kinds = list(dict.fromkeys(each.query.kind for each in found))
    return kinds if len(kinds) > 1 else []


def _by_kind(gains: Floats, found: Sequence[Both]) -> list[str]:
    kinds = np.array([each.query.kind for each in found])
    return [f"{gains[kinds == kind].mean():.3f}" for kind in _kinds(found)]


def _span(values: Floats, needs: Sequence[str]) -> str:
    low, high = judged.interval(values, needs)
    return f"{low:.3f}-{high:.3f}"


def _better(difference: Floats, needs: Sequence[str]) -> tuple[str, str]:
    low, high = judged.interval(difference, needs)
    return f"{difference.mean():+.3f}", f"{low:+.3f} to {high:+.3f}"


if __name__ == "__main__":
    main()
