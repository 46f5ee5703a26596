"""Pairs of answers to the same call, compared."""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from router import shadow
from waypost.v1 import classify_pb2, embed_pb2, generate_pb2, rerank_pb2


class FakeCore:
    """Hands out the pairs it was given, in batches."""

    def __init__(self, *batches: list[dict[str, Any]]) -> None:
        self._batches = list(batches)

    def next_shadows(self, max: int, timeout_s: float) -> list[dict[str, Any]]:
        return self._batches.pop(0) if self._batches else []


class Kept:
    """A sink that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def write(self, lines: list[str]) -> None:
        self.lines += map(json.loads, lines)


def pair(method: str, stable: bytes, canary: bytes) -> dict[str, Any]:
    names = {"request_id": "r1", "stable_model": "old", "canary_model": "new", "mode": "full"}
    return {"method": f"/waypost.v1.{method}", "stable": stable, "canary": canary} | names


def embedding(*rows: list[float]) -> bytes:
    vectors = np.asarray(rows, dtype="<f4")
    return embed_pb2.EmbedResponse(dimensions=vectors.shape[1], vectors=vectors.tobytes()).SerializeToString()


def ranking(*order: int) -> bytes:
    ranked = [rerank_pb2.RankedDocument(index=index) for index in order]
    return rerank_pb2.RerankResponse(ranking=ranked).SerializeToString()


def labelled(*best: tuple[str, float]) -> bytes:
    results = [
        classify_pb2.Classification(labels=[classify_pb2.LabelScore(label=label, score=score)]) for label, score in best
    ]
    return classify_pb2.ClassifyResponse(results=results).SerializeToString()


def text(answer: str) -> bytes:
    return generate_pb2.GenerateResponse(text=answer).SerializeToString()


def seen(method: str, stable: bytes, canary: bytes) -> dict[str, Any]:
    return shadow.compared(pair(method, stable, canary))


def test_embeddings_are_compared_by_cosine_text_by_text() -> None:
    """Their length does not matter."""
    line = seen("EmbedService/Embed", embedding([1, 0], [1, 0]), embedding([2, 0], [0, 1]))
    assert (line["kind"], line["similarity"], line["lowest"], line["texts"]) == ("embeddings", 0.5, 0.0, 2)


def test_a_ranking_and_its_opposite_correlate_with_minus_one() -> None:
    """By Spearman's correlation over the documents both have."""
    line = seen("RerankService/Rerank", ranking(0, 1, 2, 3), ranking(3, 2, 1, 0, 7))
    assert (line["similarity"], line["same_first"], line["documents"]) == (-1.0, False, 4)


def test_labels_agree_where_the_best_one_is_the_same() -> None:
    """And by how much its score moved."""
    line = seen("ClassifyService/Classify", labelled(("a", 0.9), ("b", 0.6)), labelled(("a", 0.7), ("c", 0.6)))
    assert (line["similarity"], line["score_moved"]) == (0.5, pytest.approx(0.2))


def test_texts_keep_the_words_that_changed() -> None:
    """As a difference of words, within a length."""
    line = seen("GenerateService/Generate", text("the cat sat down"), text("the dog sat"))
    assert line["diff"] == "… [-cat-] {+dog+} … [-down-]"
    assert line["similarity"] == pytest.approx(4 / 7, abs=1e-6)
    assert len(seen("GenerateService/Generate", text("a" * 9000), text(""))["diff"]) == shadow.DIFF_CHARACTERS


@pytest.mark.parametrize(
    ("mode", "diff"),
    [("off", None), ("hash", None), ("redacted", "… {+[EMAIL]+}"), ("full", "… {+a@example.com+}")],
)
def test_words_are_kept_as_the_tenant_will_have_them(mode: str, diff: str | None) -> None:
    """The figures are the same."""
    both = pair("GenerateService/Generate", text("write to"), text("write to a@example.com")) | {"mode": mode}
    line = shadow.compared(both)
    assert (line.get("diff"), line["similarity"]) == (diff, pytest.approx(4 / 5))
    assert ("example" in json.dumps(line)) == (mode == "full")


@given(st.permutations(range(8)))
def test_rank_correlation_is_that_of_the_ranks(order: list[int]) -> None:
    """Spearman's is Pearson's over the places."""
    line = seen("RerankService/Rerank", ranking(*range(8)), ranking(*order))
    assert line["similarity"] == pytest.approx(np.corrcoef(range(8), np.argsort(order))[0, 1], abs=1e-6)


@given(st.lists(st.text("ab", max_size=2), max_size=20))
def test_an_answer_is_like_itself(words: list[str]) -> None:
    """Entirely."""
    answer = text(" ".join(words))
    assert seen("GenerateService/Generate", answer, answer)["similarity"] == 1.0


@pytest.mark.parametrize(
    ("method", "stable", "canary", "why"),
    [
        ("EmbedService/Embed", embedding([1, 0]), embedding([1, 0, 0]), "no vectors of one space"),
        ("EmbedService/Embed", b"", embedding([1, 0]), "without whole vectors"),
        ("RerankService/Rerank", ranking(1), ranking(2), "no document that both rank"),
        ("ClassifyService/Classify", labelled(("a", 1)), labelled(), "labels of other texts"),
        ("GenerateService/Generate", b"\xff", text(""), "Error parsing"),
        ("EmbedService/CountTokens", b"", b"", "not compared"),
    ],
)
def test_what_cannot_be_compared_says_why(method: str, stable: bytes, canary: bytes, why: str) -> None:
    """The line is written all the same."""
    line = seen(method, stable, canary)
    assert line["similarity"] is None and why in line["why"]


def test_what_is_left_at_the_end_is_written() -> None:
    """With the names that a report looks for."""
    answer, sink, stop = pair("GenerateService/Generate", text("a"), text("a")), Kept(), threading.Event()
    stop.set()
    shadow.drain(FakeCore([answer, answer], [answer]), sink, stop)
    assert len(sink.lines) == 3
    wanted = {"event": "shadow", "request_id": "r1", "stable_model": "old", "canary_model": "new", "similarity": 1.0}
    assert wanted.items() <= sink.lines[0].items()


def test_a_sink_that_fails_does_not_stop_the_comparison() -> None:
    """A full disk is reported."""

    class Full(Kept):
        def write(self, lines: list[str]) -> None:
            super().write(lines)
            raise OSError("No space left on device")

    answer, sink, stop = pair("GenerateService/Generate", text("a"), text("a")), Full(), threading.Event()
    stop.set()
    with capture_logs() as logs:
        shadow.drain(FakeCore([answer], [answer]), sink, stop)
    assert len(sink.lines) == 2
    assert {line["event"] for line in logs} == {"shadows not written"}
