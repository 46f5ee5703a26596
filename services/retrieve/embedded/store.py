"""The embedded store behind the interface."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from services.refusal import InvalidField, ModelFailed, Refused, StoreFull, StoreUnreachable
from services.retrieve import entries as checked
from services.retrieve.embedded.graphs import Graphs
from services.retrieve.embedded.share import Share
from services.retrieve.filters import Filter, as_json
from services.retrieve.store import Batch, Entry, Figures, Found, Key, Space, Stored, Vectors
from waypost import cpus
from waypost._core import Documents, Selection
from waypost.v1 import retrieve_pb2 as pb

ONE_BY_ONE = 4096
"""Documents that pass a filter which are searched one by one rather than by the graph."""
SPARE = 1.5
"""How many times more the graph is asked for than the filter's share suggests."""
Columns = tuple[str, str, list[str], list[str], list[str], Vectors | None, list[float | None]]
"""Tenant, namespace, ids, texts, metadata, vectors, expiries."""
WIDEST = 8192
"""Most that a graph is asked for; what is rarer is searched one by one."""


class Embedded:
    """See `services.retrieve.store.Store`."""

    def __init__(self, documents: Documents, graphs: Path, *, max_bytes: int, exact_up_to: int) -> None:
        self._documents, self._max_bytes = documents, max_bytes
        self._graphs = Graphs(documents, graphs, exact_up_to)
        self._searching = Share(cpus.available())

    def upsert(self, space: Space, entries: Sequence[Entry], now: float) -> Stored:
        (stored,) = self.upsert_each([Batch(space, entries)], now)
        if isinstance(stored, Refused):
            raise stored
        return stored

    def upsert_each(self, batches: Sequence[Batch], now: float) -> list[Stored | Refused]:
        """All are one commit."""
        columns = [self._columns(batch, now) for batch in batches]
        sound = [each for each in columns if not isinstance(each, Refused)]
        stored = iter(self._safely(lambda: self._documents.upsert_each(sound, now)))
        return [
            each if isinstance(each, Refused) else self._outcome(next(stored), batch, now)
            for batch, each in zip(batches, columns, strict=True)
        ]

    def _columns(self, batch: Batch, now: float) -> Columns | Refused:
        """As the database takes them."""
        space, entries = batch.space, checked.last_of_each(batch.entries)
        there = self._select(space, None, now)
        try:
            dimensions = checked.dimensions(entries, None if there is None else there.dimensions)
        except InvalidField as refused:
            return refused
        vectors = np.stack([each.vector for each in entries if each.vector is not None]) if dimensions else None
        ids, texts = [each.id for each in entries], [each.text for each in entries]
        metadata = [json.dumps(each.metadata, ensure_ascii=False) for each in entries]
        return space.tenant, space.name, ids, texts, metadata, vectors, [each.expires for each in entries]

    def _outcome(self, stored: tuple[int, int] | Exception, batch: Batch, now: float) -> Stored | Refused:
        match stored:
            case (added, replaced):
                return Stored(added, replaced)
            case MemoryError():
                return StoreFull(self._max_bytes)
            case _:
                # Most likely the first documents of the namespace were another's, and have other vectors.
                refused = self._columns(batch, now)
                return refused if isinstance(refused, Refused) else ModelFailed(str(stored))

    def delete(self, space: Space, ids: Sequence[str] | None, passing: Filter | None, now: float) -> int:
        named = None if ids is None else list(ids)
        delete = self._documents.delete
        gone: int = self._safely(lambda: delete(space.tenant, space.name, named, _json(passing), now))
        if named is None and passing is None:
            self._graphs.forget(space)
        return gone

    def dense(self, space: Space, vectors: Vectors, limit: int, passing: Filter | None, now: float) -> list[Found]:
        which = self._select(space, passing, now)
        if not which or not which.dimensions:
            return [_NOTHING] * len(vectors)
        checked.comparable(vectors, which.dimensions)
        graph = self._graphs.of(space, now)
        wide = None if graph is None else _width(limit, passing, len(which), graph.size)
        if graph is None or wide is None:
            return _one_by_one(which, vectors, limit)
        try:
            with self._searching as threads:
                rows, cosines = graph.nearest(vectors, wide, threads)
        except RuntimeError:  # the graph has parts that cannot be reached
            return _one_by_one(which, vectors, limit)
        return _found(which.completed(vectors, rows, cosines, limit, graph.row))

    def words(self, space: Space, texts: Sequence[str], limit: int, passing: Filter | None, now: float) -> list[Found]:
        which = self._select(space, passing, now)
        return [_NOTHING] * len(texts) if which is None else _found(which.words(list(texts), limit))

    def fetch(
        self, space: Space, keys: Sequence[Key], *, with_text: bool = True, with_vector: bool = False
    ) -> dict[Key, bytes]:
        wanted = {"text": with_text, "vector": with_vector}
        return dict(self._documents.fetch(space.tenant, space.name, list(keys), **wanted))

    def get(self, space: Space, ids: Sequence[str], with_vector: bool, now: float) -> list[pb.Document]:
        there = self._documents.get(space.tenant, space.name, list(ids), with_vector, now)
        return [pb.Document.FromString(told) for told in there]

    def page(self, space: Space, after: str, limit: int, passing: Filter | None, now: float) -> list[pb.Document]:
        there = self._documents.page(space.tenant, space.name, after, limit, _json(passing), now)
        return [pb.Document.FromString(told) for told in there]

    def set_retention(self, space: Space, retention: float | None) -> None:
        self._safely(lambda: self._documents.set_retention(space.tenant, space.name, retention))

    def figures(self, space: Space, now: float) -> Figures | None:
        known = self._figures(space, now)
        if not known:
            return None
        graph = self._graphs.of(space, now)
        index = "" if not known["dimensions"] else "exact" if graph is None else "hnsw"
        return Figures(
            name=space.name,
            retention=known["retention"],
            documents=known["documents"],
            dimensions=known["dimensions"],
            disk_bytes=known["disk_bytes"],
            memory_bytes=known["memory_bytes"] + (graph.bytes if graph else 0),
            index=index,
            unindexed=known["documents"] - known["indexed"] if graph else 0,
        )

    def names(self, tenant: str) -> list[str]:
        return list(self._documents.names(tenant))

    def sweep(self, now: float) -> int:
        swept: int = self._safely(lambda: self._documents.sweep(now))
        self._graphs.tend(now)
        return swept

    def close(self) -> None:
        self._documents.close()

    def _figures(self, space: Space, now: float) -> dict[str, Any] | None:
        return self._documents.figures(space.tenant, space.name, now)

    def _select(self, space: Space, passing: Filter | None, now: float) -> Selection | None:
        return self._documents.select(space.tenant, space.name, _json(passing), now)

    def _safely(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except MemoryError:
            raise StoreFull(self._max_bytes) from None
        except OSError as error:
            raise StoreUnreachable(str(error)) from None


_NOTHING = Found(np.empty(0, np.int64), np.empty(0, np.float32))


def _json(passing: Filter | None) -> str | None:
    return None if passing is None else json.dumps(as_json(passing))


def _width(limit: int, passing: Filter | None, few: int, size: int) -> int | None:
    """How many the graph must be asked for, so that enough pass; None: looking at all that pass is cheaper."""
    if passing is None:
        return limit + limit // 4 + 8
    wide = int(limit * SPARE * size / max(few, 1)) + 8
    return None if few <= ONE_BY_ONE or wide > WIDEST else wide


def _one_by_one(which: Selection, vectors: Vectors, limit: int) -> list[Found]:
    return _found(which.dense(vectors, limit))


def _found(found: Iterable[tuple[Any, Any]]) -> list[Found]:
    return [Found(*each) for each in found]
