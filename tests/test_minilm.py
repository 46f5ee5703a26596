"""The embedded default, all-MiniLM-L6-v2 itself: fetched and converted as for users, and as good as was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.texts import padded, texts
from services.bert import forward, weights
from services.onnx import graph, located
from services.sessions import open_session, runner
from waypost._core import Tokenizer

NAME = "all-minilm-l6-v2"
SENTENCES = (
    "A man is playing a guitar on stage.",
    "Somebody makes music with a stringed instrument.",
    "The quarterly report is due on Friday.",
    "what is my bank balance",
    *texts("mixed", 40),
)


@pytest.fixture(scope="module")
def tokens(minilm: Path) -> list[NDArray[np.int64]]:
    """Token ids of each sentence, `[1, tokens]`."""
    return [np.array([ids]) for ids in Tokenizer(str(minilm / "tokenizer.json"), 256).encode(SENTENCES)]


def vectors(precision: str, tokens: list[NDArray[np.int64]]) -> NDArray[np.float32]:
    """One text a run, as it is served."""
    run = runner(open_session(graph(*located(NAME), precision)))
    return np.concatenate([run(ids, np.ones_like(ids), np.zeros_like(ids)) for ids in tokens])


def test_fp32_vectors_are_those_of_the_published_weights(minilm: Path, tokens: list[NDArray[np.int64]]) -> None:
    """To 1e-5 of a float64 forward in numpy."""
    some = tokens[:8]
    reference = forward.Forward(weights.load(minilm, "vector", "mean"))
    expected = np.concatenate([reference(ids, np.ones_like(ids)) for ids in some])
    assert np.abs(vectors("float32", some) - expected).max() < 1e-5


def test_fp32_vectors_do_not_depend_on_what_shares_the_run(tokens: list[NDArray[np.int64]]) -> None:
    """Alone or padded among all others: to 1e-5."""
    ids, mask = padded([each[0] for each in tokens])
    together = runner(open_session(graph(*located(NAME), "float32")))(ids, mask, np.zeros_like(ids))
    assert np.abs(together - vectors("float32", tokens)).max() < 1e-5


def test_int8_vectors_are_near_those_of_fp32(tokens: list[NDArray[np.int64]]) -> None:
    """A mean cosine of 0.99 and more."""
    cosines = (vectors("int8", tokens) * vectors("float32", tokens)).sum(axis=1)
    assert cosines.mean() >= 0.99
    assert cosines.min() >= 0.97


def test_what_is_alike_is_near(tokens: list[NDArray[np.int64]]) -> None:
    """Two sentences about music, one about a report."""
    music, also_music, report = vectors("int8", tokens[:3])
    assert music @ also_music > 0.4 > music @ report + 0.2
