"""What a store of documents does, whichever database is behind it: the one interface of this package.

A store keeps what it is given and finds it by vector or by words; embedding, fusing, reading again and cutting passages
are the same for all stores and done around them (`services.retrieve.search`).  Every method may be called from several
threads at once, and blocks; what it returns is durable where it changed something.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from services.refusal import Refused
from services.retrieve.filters import Filter
from waypost.v1 import retrieve_pb2 as pb

Vectors = NDArray[np.float32]
"""`[n, dimensions]`, each row of unit length."""
Key = int
"""Of one stored document, as long as it is not replaced: what searches return and `fetch` takes."""


@dataclass(frozen=True)
class Space:
    """A namespace and whose it is."""

    tenant: str
    name: str


@dataclass(frozen=True)
class Entry:
    """A document to be stored."""

    id: str
    text: str
    metadata: dict[str, Any]
    """As JSON has it."""
    vector: NDArray[np.float32] | None
    expires: float | None
    """Seconds since 1970; None: the namespace's retention counts."""


@dataclass(frozen=True)
class Batch:
    """Documents of one caller."""

    space: Space
    entries: Sequence[Entry]


@dataclass(frozen=True)
class Found:
    """What a search found: best first; scores are the search's own."""

    keys: NDArray[np.int64]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class Stored:
    """What became of an upsert."""

    added: int
    replaced: int


@dataclass(frozen=True)
class Figures:
    """A namespace and what is in it; see `Namespace` of retrieve.proto."""

    name: str
    retention: float | None
    documents: int
    dimensions: int
    disk_bytes: int
    memory_bytes: int
    index: str
    unindexed: int


class Store(Protocol):
    """The interface."""

    def upsert(self, space: Space, entries: Sequence[Entry], now: float) -> Stored:
        """Stores documents, all or none; of several with one id the last counts.

        Raises:
            services.refusal.InvalidField: vectors are not as long as the namespace's, or only some have one.
            services.refusal.StoreFull: there is no room.
        """

    def upsert_each(self, batches: Sequence[Batch], now: float) -> list[Stored | Refused]:
        """Does so with those of several callers, at once where that costs less; one that is refused does not keep the
        others from being stored."""

    def delete(self, space: Space, ids: Sequence[str] | None, passing: Filter | None, now: float) -> int:
        """Removes documents by id, or those that pass, or (both None) the whole namespace; how many."""

    def dense(self, space: Space, vectors: Vectors, limit: int, passing: Filter | None, now: float) -> list[Found]:
        """For each vector the documents with the largest cosine, at most `limit`; none where there is no namespace."""

    def words(self, space: Space, texts: Sequence[str], limit: int, passing: Filter | None, now: float) -> list[Found]:
        """For each text the documents that share words with it, by BM25 or the best the database has."""

    def fetch(
        self, space: Space, keys: Sequence[Key], *, with_text: bool = True, with_vector: bool = False
    ) -> dict[Key, bytes]:
        """What is behind the keys, each a `waypost.v1.Document`, encoded; one that was removed or replaced meanwhile is
        left out.

        With their text or vector where these are wanted.  `expires` is what counts: its own, or by the namespace's
        retention.
        """

    def get(self, space: Space, ids: Sequence[str], with_vector: bool, now: float) -> list[pb.Document]:
        """Those that are there, in the order of `ids`."""

    def page(self, space: Space, after: str, limit: int, passing: Filter | None, now: float) -> list[pb.Document]:
        """The first documents whose id comes after `after`, by id (byte order); without vectors."""

    def set_retention(self, space: Space, retention: float | None) -> None:
        """Makes the namespace, or changes it; seconds, None keeps for good."""

    def figures(self, space: Space, now: float) -> Figures | None:
        """None: there is no such namespace."""

    def names(self, tenant: str) -> list[str]:
        """The tenant's namespaces in order."""

    def sweep(self, now: float) -> int:
        """Removes what has expired, so that nothing of it is left in any file or table; how many documents.

        Called now and then from a thread of its own; builds and compacts indexes where that is due.
        """

    def close(self) -> None:
        """Ends; nothing is called any more."""
