"""The embedded store behind the interface."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from services.refusal import StoreFull, StoreUnreachable
from services.retrieve import entries as checked
from services.retrieve.embedded.graphs import Graphs
from services.retrieve.filters import Filter, as_json
from services.retrieve.store import Entry, Figures, Found, Kept, Key, Space, Stored, Vectors
from waypost._core import Documents

ONE_BY_ONE = 4096
"""Documents that pass a filter which are searched one by one rather than by the graph."""
SPARE = 1.5
"""How many times more the graph is asked for than the filter's share suggests."""
WIDEST = 8192
"""Most that a graph is asked for; what is rarer is searched one by one."""


class Embedded:
    """See `services.retrieve.store.Store`."""

    def __init__(self, documents: Documents, graphs: Path, *, max_bytes: int, exact_up_to: int) -> None:
        self._documents, self._max_bytes = documents, max_bytes
        self._graphs = Graphs(documents, graphs, exact_up_to)

    def upsert(self, space: Space, entries: Sequence[Entry], now: float) -> Stored:
        entries = checked.last_of_each(entries)
        known = self._figures(space, now)
        dimensions = checked.dimensions(entries, known["dimensions"] if known and known["documents"] else None)
        vectors = np.stack([each.vector for each in entries if each.vector is not None]) if dimensions else None
        ids, texts = [each.id for each in entries], [each.text for each in entries]
        metadata = [json.dumps(each.metadata, ensure_ascii=False) for each in entries]
        expires = [each.expires for each in entries]
        upsert = self._documents.upsert
        stored = self._safely(lambda: upsert(space.tenant, space.name, ids, texts, metadata, vectors, expires, now))
        return Stored(*stored)

    def delete(self, space: Space, ids: Sequence[str] | None, passing: Filter | None, now: float) -> int:
        named = None if ids is None else list(ids)
        delete = self._documents.delete
        gone: int = self._safely(lambda: delete(space.tenant, space.name, named, _json(passing), now))
        if named is None and passing is None:
            self._graphs.forget(space)
        return gone

    def dense(self, space: Space, vectors: Vectors, limit: int, passing: Filter | None, now: float) -> list[Found]:
        known = self._figures(space, now)
        if not known or not known["documents"] or not known["dimensions"]:
            return [_NOTHING] * len(vectors)
        checked.comparable(vectors, known["dimensions"])
        graph = self._graphs.of(space, now)
        if graph is None:
            return self._one_by_one(space, vectors, limit, passing, now)
        wide = self._width(space, limit, passing, now, graph.size)
        if wide is None:
            return self._one_by_one(space, vectors, limit, passing, now)
        try:
            rows, cosines = graph.nearest(vectors, wide)
        except RuntimeError:  # the graph has parts that cannot be reached
            return self._one_by_one(space, vectors, limit, passing, now)
        live = self._documents.keep(space.tenant, space.name, rows.ravel(), _json(passing), now).reshape(rows.shape)
        fresh = self._one_by_one(space, vectors, limit, passing, now, beyond=graph.row)
        found = [_best(rows[i][live[i]], cosines[i][live[i]], fresh[i], limit) for i in range(len(vectors))]
        return self._completed(found, space, vectors, limit, passing, now)

    def _width(self, space: Space, limit: int, passing: Filter | None, now: float, size: int) -> int | None:
        """How many the graph must be asked for, so that enough pass; None: looking at all that pass is cheaper."""
        if passing is None:
            return limit + limit // 4 + 8
        few = self._documents.count(space.tenant, space.name, _json(passing), now)
        wide = int(limit * SPARE * size / max(few, 1)) + 8
        return None if few <= ONE_BY_ONE or wide > WIDEST else wide

    def _completed(
        self, found: list[Found], space: Space, vectors: Vectors, limit: int, passing: Filter | None, now: float
    ) -> list[Found]:
        """Where the nearest of all are mostly such as do not pass, those that do are looked at one by one."""
        few = [index for index, each in enumerate(found) if len(each.keys) < limit]
        if few:
            for index, each in zip(few, self._one_by_one(space, vectors[few], limit, passing, now), strict=True):
                found[index] = each
        return found

    def _one_by_one(
        self, space: Space, vectors: Vectors, limit: int, passing: Filter | None, now: float, beyond: int = 0
    ) -> list[Found]:
        dense = self._documents.dense
        return [Found(*each) for each in dense(space.tenant, space.name, vectors, limit, _json(passing), now, beyond)]

    def words(self, space: Space, texts: Sequence[str], limit: int, passing: Filter | None, now: float) -> list[Found]:
        words = self._documents.words
        return [Found(*each) for each in words(space.tenant, space.name, list(texts), limit, _json(passing), now)]

    def fetch(self, space: Space, keys: Sequence[Key], with_vector: bool) -> dict[Key, Kept]:
        rows = self._documents.fetch(space.tenant, space.name, list(keys), with_vector)
        return {row: Kept(id, text, json.loads(said), until, vector) for row, id, text, said, until, vector in rows}

    def get(self, space: Space, ids: Sequence[str], with_vector: bool, now: float) -> list[Kept]:
        return _all(self._documents.get(space.tenant, space.name, list(ids), with_vector, now))

    def page(self, space: Space, after: str, limit: int, passing: Filter | None, now: float) -> list[Kept]:
        return _all(self._documents.page(space.tenant, space.name, after, limit, _json(passing), now))

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


def _best(rows: Any, cosines: Any, fresh: Found, limit: int) -> Found:
    keys, scores = np.concatenate([rows, fresh.keys]), np.concatenate([cosines, fresh.scores])
    order = np.argsort(-scores, kind="stable")[:limit]
    return Found(keys[order], scores[order])


def _all(rows: Iterable[tuple[int, str, str, str, float | None, Vectors | None]]) -> list[Kept]:
    return [Kept(id, text, json.loads(said), until, vector) for _, id, text, said, until, vector in rows]
