"""The embedded store's graphs: built beside the queries, exact where that matters, and gone from disk with what was
removed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.retrieve import embedded
from services.retrieve.embedded.store import Embedded, _one_by_one
from services.retrieve.filters import Filter, OneOf
from services.retrieve.store import Entry, Space
from tests.documents import fetched

SPACE = Space("acme", "graphs")
COUNT, WIDTH, EXACT = 6000, 24, 500


def vectors(count: int, seed: int) -> NDArray[np.float32]:
    """In clusters, as those of texts are, of unit length."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(40, WIDTH))
    made = centres[random.integers(40, size=count)] + 0.6 * random.normal(size=(count, WIDTH))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def opened(folder: Path, exact_up_to: int = EXACT) -> Embedded:
    return embedded.opened(folder, max_bytes=1 << 30, exact_up_to=exact_up_to)


def fill(store: Embedded, made: NDArray[np.float32], first: int = 0) -> None:
    """One in a hundred is rare, every other one even."""
    now = time.time()
    for start in range(0, len(made), 1000):
        numbers = range(start, min(start + 1000, len(made)))
        entries = [
            Entry(f"d{first + n}", "", {"rare": (first + n) % 100 == 0, "even": n % 2 == 0}, made[n], None)
            for n in numbers
        ]
        store.upsert(SPACE, entries, now)


def found(store: Embedded, queries: NDArray[np.float32], passing: Filter | None = None) -> list[set[str]]:
    results = store.dense(SPACE, queries, 10, passing, time.time())
    return [{each.id for each in fetched(store, SPACE, each.keys.tolist()).values()} for each in results]


def recall(answers: Sequence[set[str]], truth: Sequence[set[str]]) -> float:
    return float(np.mean([len(a & b) / len(b) for a, b in zip(answers, truth, strict=True)]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a graph in it."""
    folder = tmp_path_factory.mktemp("graphs")
    store = opened(folder)
    fill(store, vectors(COUNT, 1))
    store.sweep(time.time())
    store.close()
    return folder


@pytest.fixture
def store(folder: Path) -> Iterator[Embedded]:
    """Opened anew: it reads the graph's file."""
    store = opened(folder)
    yield store
    store.close()


QUERIES = vectors(50, 2)


def exactly(store: Embedded, passing: Filter | None = None) -> list[set[str]]:
    """One by one, whatever there is in graphs."""
    which = store._select(SPACE, passing, time.time())
    assert which is not None
    results = _one_by_one(which, QUERIES, 10)
    return [{each.id for each in fetched(store, SPACE, each.keys.tolist()).values()} for each in results]


def test_a_graph_misses_hardly_any_and_outlives_the_process(store: Embedded) -> None:
    """Against looking at all of them."""
    figures = store.figures(SPACE, time.time())
    assert figures and (figures.index, figures.unindexed, figures.documents) == ("hnsw", 0, COUNT)
    assert recall(found(store, QUERIES), exactly(store)) >= 0.97


@pytest.mark.parametrize("field", ["even", "rare"])
def test_what_passes_a_filter_is_found_as_well(store: Embedded, field: str) -> None:
    """However few pass."""
    passing = OneOf(field, (True,))
    answers = found(store, QUERIES, passing)
    assert all(len(each) == 10 for each in answers)
    assert recall(answers, exactly(store, passing)) >= 0.97


def test_what_is_new_is_found_before_the_graph_has_it_and_after(tmp_path: Path) -> None:
    """The graph grows by a copy."""
    store = opened(tmp_path)
    fill(store, vectors(2000, 1))
    store.sweep(time.time())
    fill(store, QUERIES, first=100_000)
    assert all(f"d{100_000 + n}" in each for n, each in enumerate(found(store, QUERIES)))
    fill(store, vectors(1000, 3), first=200_000)
    store.sweep(time.time())
    figures = store.figures(SPACE, time.time())
    assert figures and figures.unindexed == 0
    assert all(f"d{100_000 + n}" in each for n, each in enumerate(found(store, QUERIES)))
    store.close()


def test_what_was_removed_is_not_found_and_leaves_no_file(tmp_path: Path) -> None:
    """Neither in the database nor in a snapshot; what is left is found as before."""
    store = opened(tmp_path)
    made = vectors(3000, 1)
    fill(store, made)
    store.sweep(time.time())
    (snapshot,) = (tmp_path / "graphs").iterdir()
    removed = made[7].tobytes()
    assert removed in snapshot.read_bytes()
    before = found(store, QUERIES)
    store.delete(SPACE, ["d7"], None, time.time())
    assert "d7" not in found(store, made[7:8])[0]
    store.sweep(time.time())
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and removed in path.read_bytes()]
    assert recall(found(store, QUERIES), [each - {"d7"} for each in before]) >= 0.97
    store.delete(SPACE, [f"d{n}" for n in range(1000)], None, time.time())
    store.sweep(time.time())
    figures = store.figures(SPACE, time.time())
    assert figures and (figures.index, figures.unindexed, figures.documents) == ("hnsw", 0, 2000)
    store.close()


def test_a_graph_that_cannot_be_read_is_built_anew(tmp_path: Path) -> None:
    """Until then all are looked at."""
    store = opened(tmp_path)
    fill(store, vectors(1000, 1))
    store.sweep(time.time())
    store.close()
    (snapshot,) = (tmp_path / "graphs").iterdir()
    snapshot.write_bytes(b"broken")
    store = opened(tmp_path)
    figures = store.figures(SPACE, time.time())
    assert figures and figures.index == "exact"
    truth = exactly(store)
    assert found(store, QUERIES) == truth
    store.sweep(time.time())
    assert recall(found(store, QUERIES), truth) >= 0.97
    store.close()


def test_few_vectors_have_no_graph(tmp_path: Path) -> None:
    """And lose theirs when only few are left."""
    store = opened(tmp_path)
    fill(store, vectors(600, 1))
    store.sweep(time.time())
    store.delete(SPACE, [f"d{n}" for n in range(300)], None, time.time())
    store.sweep(time.time())
    figures = store.figures(SPACE, time.time())
    assert figures and (figures.index, list((tmp_path / "graphs").iterdir())) == ("exact", [])
    store.close()
