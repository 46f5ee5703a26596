"""Fusing what two searches found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retrieve.fuse import COMMON, WORDS, fuse
from services.retrieve.store import Found


def found(scores: dict[int, float]) -> Found:
    """Best first."""
    best = sorted(scores.items(), key=lambda each: -each[1])
    return Found(np.array([key for key, _ in best], np.int64), np.array([score for _, score in best], np.float32))


NOTHING = found({})
COSINES = st.dictionaries(st.integers(1, 60), st.floats(-1, 1, width=32), max_size=40).map(found)
BM25 = st.dictionaries(st.integers(1, 60), st.floats(0.0009765625, 40, width=32), max_size=40).map(found)


def test_a_score_is_the_share_of_the_way_to_the_same_text_and_what_the_words_add() -> None:
    """By the formula, of documents that both, one and the other found."""
    best = fuse(found({1: 0.6, 2: 0.5, 3: 0.2}), found({2: 8.0, 4: 4.0}), 10)
    assert [key for key, *_ in best] == [2, 1, 4, 3]
    assert [score for _, score, *_ in best] == pytest.approx([0.3 / 0.8 + WORDS, 0.4 / 0.8, WORDS / 2, 0.0], abs=1e-6)


def test_each_document_says_which_search_found_it() -> None:
    """Its own scores, or None."""
    best = {key: said for key, _, *said in fuse(found({1: 0.5, 2: 0.25}), found({2: 8.0, 4: 4.0}), 10)}
    assert best == {1: [0.5, None], 2: [0.25, 8.0], 4: [None, 4.0]}


@pytest.mark.parametrize("nothing", [None, NOTHING], ids=["not asked", "found nothing"])
def test_a_search_alone_keeps_its_order_and_scores(nothing: Found | None) -> None:
    """Where the other was not asked, or found nothing."""
    scores = found({7: 0.75, 3: 0.5, 5: 0.25})
    assert fuse(scores, nothing, 2) == [(7, 0.75, 0.75, None), (3, 0.5, 0.5, None)]
    assert fuse(nothing, scores, 2) == [(7, 0.75, None, 0.75), (3, 0.5, None, 0.5)]
    assert fuse(nothing, nothing, 2) == []


def test_words_that_many_documents_share_alike_do_not_count() -> None:
    """The nearest stays first."""
    near = found({1: 0.5, 2: 0.48, 3: 0.1})
    alike = found(dict.fromkeys(range(2, 2 + COMMON), 3.0))
    assert fuse(near, alike, 1)[0][0] == 1


def test_a_word_that_a_single_document_has_brings_it_up() -> None:
    """As a code or a name does."""
    assert fuse(found({1: 0.5, 2: 0.48, 3: 0.1}), found({2: 3.0}), 1)[0][0] == 2


@given(COSINES, BM25)
def test_every_document_found_is_there_once_best_first(dense: Found, words: Found) -> None:
    """None is lost and none invented."""
    best = fuse(dense, words, 100)
    keys = [key for key, *_ in best]
    assert sorted(keys) == sorted({*dense.keys.tolist(), *words.keys.tolist()})
    scores = [score for _, score, *_ in best]
    assert scores == sorted(scores, reverse=True)
    assert np.isfinite(scores).all()


@given(COSINES, BM25, st.integers(0, 20))
def test_fewer_are_the_first_of_more(dense: Found, words: Found, limit: int) -> None:
    """What a caller sees on top does not depend on how many it asks for."""
    assert fuse(dense, words, limit) == fuse(dense, words, 100)[:limit]


@given(COSINES, BM25, st.sampled_from([0.125, 2.0, 64.0]))
def test_the_scale_of_scores_by_words_does_not_matter(dense: Found, words: Found, scale: float) -> None:
    """Stores that have no BM25 have another score."""
    scaled = Found(words.keys, words.scores * np.float32(scale))
    if len(dense.keys):
        assert [each[:2] for each in fuse(dense, scaled, 50)] == [each[:2] for each in fuse(dense, words, 50)]


@given(st.lists(st.floats(0, 0.9), min_size=2, max_size=9, unique=True), BM25)
def test_cosines_pressed_into_a_narrow_band_count_as_they_did(cosines: list[float], words: Found) -> None:
    """As those of encoders taught with a low temperature are: `0.7 + 0.3 c`."""
    wide = dict(enumerate(cosines))
    narrow = {key: 0.7 + 0.3 * cosine for key, cosine in wide.items()}
    one, other = ({key: score for key, score, *_ in fuse(found(each), words, 99)} for each in (wide, narrow))
    if len(words.keys):
        assert one == pytest.approx(other, abs=1e-3)
