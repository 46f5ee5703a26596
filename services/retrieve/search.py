"""A query's way through a store: by vector, by words, fused; then fetched, with the passages that suit it best."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from services.refusal import NamespaceNotFound, NotCapable
from services.retrieve import filters
from services.retrieve.filters import Filter
from services.retrieve.fuse import fuse
from services.retrieve.store import Found, Key, Space, Store, Vectors
from waypost._core import Errand, query_reply
from waypost.v1 import retrieve_pb2 as pb

TOP_K = 10
"""Documents of a result where the request does not say how many."""
DEPTH = 100
"""Documents that either search contributes to a hybrid result, where no more are asked for."""
SNIPPET_CHARS = 300
"""Characters of a passage."""

Ranked = list[tuple[Key, float, float | None, float | None]]
"""Best first: key, score, and what the two searches said of it."""


@dataclass(frozen=True)
class Ask:
    """A request for documents."""

    space: Space
    request: pb.QueryDocumentsRequest
    vectors: Vectors | None
    passing: Filter | None

    @classmethod
    def of(cls, errand: Errand) -> Ask:
        """As it came.

        Raises:
            services.refusal.InvalidField: its filter is none.
        """
        request = pb.QueryDocumentsRequest.FromString(errand.request)
        passing = filters.read(request.filter) if request.HasField("filter") else None
        return cls(Space(errand.tenant, request.namespace), request, errand.vectors, passing)

    @property
    def alike(self) -> object:
        """Requests that have this in common are one search."""
        dimensions = None if self.vectors is None else self.vectors.shape[1]
        return self.space, self.depth, self.passing, self.by_vector, self.by_words, dimensions

    @property
    def texts(self) -> list[str]:
        """Of its queries."""
        return [query.text for query in self.request.queries]

    @property
    def top_k(self) -> int:
        """Documents of a result."""
        return self.request.top_k or TOP_K

    @property
    def by_vector(self) -> bool:
        """Whether meaning counts."""
        return self.vectors is not None and self.request.mode != pb.QUERY_MODE_BM25

    @property
    def by_words(self) -> bool:
        """Whether words count."""
        return self.request.mode != pb.QUERY_MODE_DENSE and any(self.texts)

    @property
    def depth(self) -> int:
        """Documents that each search must find."""
        return max(self.top_k, DEPTH) if self.by_vector and self.by_words else self.top_k


class Search:
    """Answers requests from a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def answers(self, asks: Sequence[Ask]) -> list[bytes]:
        """Of requests that are alike, encoded."""
        first = asks[0]
        now = time.time()
        found = self._found(asks, now)
        ends = list(accumulate(len(ask.request.queries) for ask in asks))
        each = [found[end - len(ask.request.queries) : end] for ask, end in zip(asks, ends, strict=True)]
        if not any(found):
            must_be_there(self._store, first.space)
        return [self._told(ask, results) for ask, results in zip(asks, each, strict=True)]

    def _found(self, asks: Sequence[Ask], now: float) -> list[Ranked]:
        first = asks[0]
        texts = [text for ask in asks for text in ask.texts]
        dense: Sequence[Found | None] = [None] * len(texts)
        words: Sequence[Found | None] = [None] * len(texts)
        if first.by_vector:
            vectors = np.concatenate([ask.vectors for ask in asks if ask.vectors is not None])
            dense = self._store.dense(first.space, vectors, first.depth, first.passing, now)
        if first.by_words:
            words = self._words(first, texts, now)
        return [fuse(by_vector, by_words, first.depth) for by_vector, by_words in zip(dense, words, strict=True)]

    def _words(self, ask: Ask, texts: Sequence[str], now: float) -> Sequence[Found | None]:
        try:
            return self._store.words(ask.space, texts, ask.depth, ask.passing, now)
        except NotCapable:
            if ask.request.mode == pb.QUERY_MODE_UNSPECIFIED and ask.by_vector:
                return [None] * len(texts)
            raise

    def _told(self, ask: Ask, results: Sequence[Ranked]) -> bytes:
        """What was removed meanwhile is left out."""
        best = [ranked[: ask.top_k] for ranked in results]
        keys = {key for ranked in best for key, *_ in ranked}
        wanted, keep_text = ask.request, not ask.request.without_text
        text = keep_text or bool(wanted.snippets)
        there = self._store.fetch(ask.space, sorted(keys), with_text=text, with_vector=wanted.with_vector)
        return query_reply(
            best, ask.texts, there, snippets=wanted.snippets, max_chars=SNIPPET_CHARS, keep_text=keep_text
        )


def must_be_there(store: Store, space: Space) -> None:
    """Nothing was found: is there a namespace at all?

    Raises:
        NamespaceNotFound: there is none.
    """
    if space.name not in store.names(space.tenant):
        raise NamespaceNotFound(space.name)
