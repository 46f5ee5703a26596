"""Documents and what is found of them: what `upsert` takes, what `query` returns.

    client.upsert([Document("leave", "Everybody has 30 days of leave.", {"year": 2026})], namespace="handbook")
    found = client.query("How long may I be away?", namespace="handbook", filter={"year": {">=": 2025}}, snippets=1)
    for each in found.documents:
        print(each.document.id, each.score, each.snippets[0].text)

Frozen dataclasses; durations are as in `waypost.results`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from waypost.results import Routed, Timed

Vector = NDArray[np.floating[Any]] | Sequence[float]


@dataclass(frozen=True)
class Document:
    """A document as it is stored, and as it comes back.

    Attributes:
        id: unique in the namespace; a document of the same id is replaced.
        metadata: what filters look at; whatever JSON can say.  Numbers are 64-bit floating point there.
        vector: as it comes back, a float32 array of unit length; to be stored, any numbers.  Without it the text is
            embedded.
        expires: when it is forgotten; None: its `ttl` or the namespace's retention says, or nothing does.
    """

    id: str
    text: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    vector: Vector | None = field(default=None, compare=False, repr=False)
    expires: datetime | None = None


@dataclass(frozen=True)
class DocumentQuery:
    """What is looked for, where one `str` or one vector is not all of it: the words by the text, and this vector."""

    text: str = ""
    vector: Vector | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Snippet:
    """A passage of a document: `document.text[start:end]`."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class ScoredDocument:
    """A document that was found.

    Attributes:
        score: what the order is by; comparable within one result only.
        cosine, bm25, rerank: by meaning, by words, by the reranker; None where it was not among the best of these, or
            that was not looked at.
    """

    document: Document
    score: float
    cosine: float | None
    bm25: float | None
    rerank: float | None
    snippets: tuple[Snippet, ...]


@dataclass(frozen=True)
class QueryResults(Timed):
    """What each query found, in the order of the queries."""

    results: tuple[tuple[ScoredDocument, ...], ...]

    @property
    def documents(self) -> tuple[ScoredDocument, ...]:
        """What the first query found, best first: all there is where there was one."""
        return self.results[0] if self.results else ()


@dataclass(frozen=True)
class Upserted(Timed):
    """What became of documents: so many were new, so many took the place of others."""

    added: int
    replaced: int


@dataclass(frozen=True)
class DocumentPage(Routed):
    """Some documents in the order of their ids; an empty token says that there are no more."""

    documents: tuple[Document, ...]
    next_page_token: str


@dataclass(frozen=True)
class Namespace:
    """A namespace and what is in it.

    Attributes:
        retention: seconds that documents are kept which say nothing themselves; None: for good.
        dimensions: length of its vectors; 0: it has none.
        disk_bytes, memory_bytes: about what it takes.
        index: how its vectors are searched, such as "exact" or "hnsw"; empty: it has none.
        unindexed: vectors that the index does not have yet, and that are found all the same.
    """

    name: str
    retention: float | None
    documents: int
    dimensions: int
    disk_bytes: int
    memory_bytes: int
    index: str
    unindexed: int
