"""How good what is found is: on judged queries, through the embedded store as it is served."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench import judged
from bench.fusion import METHODS, Both, gained, ours, searched
from services.encoder import open_encoder

GAINS = {
    "chosen": {"vectors": 0.01, "BM25": 0.12},
    "aside": {"vectors": 0.01, "BM25": 0.12},
}
"""What fusing adds to nDCG@10 at least: about .02 and .18 were measured, see bench/README.md."""


@pytest.fixture(scope="module")
def found(minilm: Path) -> list[Both]:
    """What the store's two searches find, with the vectors that are served."""
    assert minilm.exists()
    return searched(judged.shipped(), open_encoder(precision="int8"))


def half(found: list[Both], name: str) -> list[Both]:
    """That a method was chosen by, or the one that was kept aside."""
    return [each for each in found if each.query.aside == (name == "aside")]


@pytest.mark.parametrize("name", GAINS)
@pytest.mark.parametrize("alone", ["vectors", "BM25"])
def test_both_searches_fused_are_better_than_either_alone(found: list[Both], name: str, alone: str) -> None:
    """By nDCG@10, on the half that the fusion was chosen by and on the one that was kept aside."""
    some = half(found, name)
    gain = float((gained(ours, some) - gained(METHODS[alone], some)).mean())
    assert gain >= GAINS[name][alone], f"fused {gain:+.3f} beside {alone}"


def test_codes_and_names_are_found_by_their_words(found: list[Both]) -> None:
    """Exact queries: what vectors alone do not bring to the top, words do."""
    exact = [each for each in found if each.query.kind == "exact"]
    assert gained(ours, exact).mean() - gained(METHODS["vectors"], exact).mean() >= 0.02


def test_questions_in_other_words_are_found_by_their_meaning(found: list[Both]) -> None:
    """Paraphrases: what words alone do not find, vectors do."""
    others = [each for each in found if each.query.kind == "paraphrase"]
    assert gained(ours, others).mean() - gained(METHODS["BM25"], others).mean() >= 0.25


def test_every_need_is_asked_in_three_ways_and_has_an_answer() -> None:
    """The collection itself: documents are told apart, judgements are of documents that are there."""
    collection = judged.shipped()
    assert len(set(collection.documents)) == len(collection.documents) >= 300
    needs: dict[str, list[judged.Query]] = {}
    for query in collection.queries:
        needs.setdefault(query.need, []).append(query)
    assert len(needs) >= 60
    for queries in needs.values():
        assert [query.kind for query in queries] == list(judged.KINDS)
        assert max(queries[0].grades.values()) == 2


def test_an_order_is_judged_as_burges_says() -> None:
    """A right document first is 1, one in the second place 1 / log2(3); the better one counts three times."""
    assert judged.ndcg([7], {7: 2}) == 1
    assert judged.ndcg([1, 7], {7: 1}) == pytest.approx(1 / np.log2(3))
    assert judged.ndcg([1, 2], {1: 1, 2: 2}) == pytest.approx((1 + 3 / np.log2(3)) / (3 + 1 / np.log2(3)))


def test_an_interval_is_drawn_by_needs() -> None:
    """Queries that are alike do not make it narrower."""
    values: NDArray[np.float64] = np.random.default_rng(1).random(40)
    once = judged.interval(values, [str(n) for n in range(40)])
    thrice = judged.interval(np.repeat(values, 3), [str(n) for n in range(40) for _ in range(3)])
    assert thrice == pytest.approx(once)
