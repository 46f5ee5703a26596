"""A store of documents that is too simple to be wrong: what the others are compared with, and what they are given."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from google.protobuf import json_format
from numpy.typing import NDArray

from services.refusal import Refused
from services.retrieve import filters
from services.retrieve.entries import comparable, dimensions, last_of_each, one_by_one
from services.retrieve.filters import All, Between, Exists, Filter, Not, OneOf
from services.retrieve.messages import document
from services.retrieve.store import Batch, Entry, Figures, Found, Space, Store, Stored, Vectors
from waypost.v1 import retrieve_pb2 as pb

NOW = 1_700_000_000.0


def entry(id: str, text: str = "", vector: Sequence[float] | None = None, **metadata: Any) -> Entry:
    """A document that does not expire; its vector is scaled to unit length."""
    return Entry(id, text or f"text of {id}", metadata, None if vector is None else unit(vector), None)


def unit(vector: Sequence[float] | NDArray[Any]) -> NDArray[np.float32]:
    """Scaled to unit length."""
    array = np.asarray(vector, np.float32)
    return array / np.linalg.norm(array, axis=-1, keepdims=True)


def fetched(store: Store, space: Space, keys: Sequence[int], **wanted: bool) -> dict[int, pb.Document]:
    """Documents behind keys."""
    there = store.fetch(space, keys, **wanted)
    return {key: pb.Document.FromString(document) for key, document in there.items()}


def ids(found: Sequence[pb.Document]) -> list[str]:
    """Of documents, in their order."""
    return [each.id for each in found]


def said(document: pb.Document) -> dict[str, Any]:
    """Its metadata."""
    return json_format.MessageToDict(document.metadata)


def expires(document: pb.Document) -> float | None:
    """When it does, in seconds; None: never."""
    until = document.expires
    return until.seconds + until.nanos / 1e9 if document.HasField("expires") else None


def passes(filter: Filter, metadata: dict[str, Any]) -> bool:
    """What the contract says of filters, word for word."""
    match filter:
        case All(inner):
            return all(passes(each, metadata) for each in inner)
        case filters.Any(inner):
            return any(passes(each, metadata) for each in inner)
        case Not(inner):
            return not passes(inner, metadata)
        case OneOf(name, wanted):
            return any(_same(each, other) for each in values(metadata, name) for other in wanted)
        case Between(name):
            return any(_within(each, filter) for each in values(metadata, name))
        case Exists(name, there):
            return there == (_at(metadata, name) is not None)


def values(metadata: dict[str, Any], name: str) -> Iterator[Any]:
    """Of a field, without nulls; of a list, each."""
    there = _at(metadata, name)
    yield from (each for each in (there if isinstance(there, list) else [there]) if each is not None)


def _at(metadata: Any, name: str) -> Any:
    head, _, rest = name.partition(".")
    there = metadata.get(head) if isinstance(metadata, dict) else None
    return _at(there, rest) if rest else there


def _same(value: Any, wanted: filters.Scalar) -> bool:
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (value, wanted))
    return (numbers or type(value) is type(wanted)) and value == wanted


def _within(value: Any, bounds: Between) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return (
        (bounds.above is None or value > bounds.above)
        and (bounds.at_least is None or value >= bounds.at_least)
        and (bounds.below is None or value < bounds.below)
        and (bounds.at_most is None or value <= bounds.at_most)
    )


@dataclass
class _Namespace:
    retention: float | None = None
    dimensions: int | None = None
    rows: dict[str, tuple[int, Entry, float]] = field(default_factory=dict)
    """By id: key, document, when it was stored."""

    def expires(self, row: tuple[int, Entry, float]) -> float | None:
        _, entry, stored = row
        if entry.expires is not None or self.retention is None:
            return entry.expires
        return stored + self.retention

    def live(self, passing: Filter | None, now: float) -> list[tuple[int, Entry, float]]:
        """In the order of their ids."""
        return [
            row
            for _, row in sorted(self.rows.items(), key=lambda item: item[0].encode())
            if self._lives(row, now) and (passing is None or passes(passing, row[1].metadata))
        ]

    def _lives(self, row: tuple[int, Entry, float], now: float) -> bool:
        expires = self.expires(row)
        return expires is None or expires > now

    def told(self, row: tuple[int, Entry, float], with_vector: bool, with_text: bool = True) -> pb.Document:
        entry = row[1]
        text, vector = entry.text if with_text else "", entry.vector if with_vector else None
        return document(entry.id, text, entry.metadata, self.expires(row), vector)


class Naive:
    """The interface over dictionaries, with one lock; words are counted instead of weighed."""

    def __init__(self) -> None:
        self._spaces: dict[Space, _Namespace] = {}
        self._keys = itertools.count(1)
        self._lock = threading.Lock()

    def upsert(self, space: Space, entries: Sequence[Entry], now: float) -> Stored:
        with self._lock:
            there = self._spaces.get(space, _Namespace())
            there.dimensions = dimensions(entries, there.dimensions)
            self._spaces[space] = there
            living = {row[1].id for row in there.live(None, now)}
            last = last_of_each(entries)
            there.rows |= {each.id: (next(self._keys), each, now) for each in last}
            replaced = sum(each.id in living for each in last)
            return Stored(len(last) - replaced, replaced)

    def upsert_each(self, batches: Sequence[Batch], now: float) -> list[Stored | Refused]:
        return one_by_one(self.upsert, batches, now)

    def delete(self, space: Space, ids: Sequence[str] | None, passing: Filter | None, now: float) -> int:
        with self._lock:
            there = self._spaces.get(space, _Namespace())
            gone = [row for row in there.live(passing, now) if ids is None or row[1].id in ids]
            for _, entry, _ in gone:
                del there.rows[entry.id]
            if ids is None and passing is None:
                self._spaces.pop(space, None)
            return len(gone)

    def dense(self, space: Space, vectors: Vectors, limit: int, passing: Filter | None, now: float) -> list[Found]:
        there = self._read(space)
        if there is None or not there.dimensions:
            return [_found({}, limit) for _ in vectors]
        comparable(vectors, there.dimensions)
        live = [(key, entry.vector) for key, entry, _ in there.live(passing, now)]
        return [_found({key: float(v @ query) for key, v in live if v is not None}, limit) for query in vectors]

    def words(self, space: Space, texts: Sequence[str], limit: int, passing: Filter | None, now: float) -> list[Found]:
        live = [(row[0], _words(row[1].text)) for row in self._live(space, passing, now)]
        counted = ({key: len(_words(text) & words) for key, words in live} for text in texts)
        return [_found({key: float(shared) for key, shared in each.items() if shared}, limit) for each in counted]

    def fetch(
        self, space: Space, keys: Sequence[int], *, with_text: bool = True, with_vector: bool = False
    ) -> dict[int, bytes]:
        there = self._read(space) or _Namespace()
        return {
            row[0]: there.told(row, with_vector, with_text).SerializeToString()
            for row in there.rows.values()
            if row[0] in set(keys)
        }

    def get(self, space: Space, ids: Sequence[str], with_vector: bool, now: float) -> list[pb.Document]:
        there = self._read(space) or _Namespace()
        by_id = {row[1].id: row for row in there.live(None, now)}
        return [there.told(by_id[id], with_vector) for id in ids if id in by_id]

    def page(self, space: Space, after: str, limit: int, passing: Filter | None, now: float) -> list[pb.Document]:
        there = self._read(space) or _Namespace()
        rows = [row for row in there.live(passing, now) if row[1].id.encode() > after.encode()]
        return [there.told(row, False) for row in rows[:limit]]

    def set_retention(self, space: Space, retention: float | None) -> None:
        with self._lock:
            self._spaces.setdefault(space, _Namespace()).retention = retention

    def figures(self, space: Space, now: float) -> Figures | None:
        there = self._read(space)
        if there is None:
            return None
        index = "exact" if there.dimensions else ""
        documents = len(there.live(None, now))
        return Figures(space.name, there.retention, documents, there.dimensions or 0, 0, 0, index, 0)

    def names(self, tenant: str) -> list[str]:
        return sorted(space.name for space in list(self._spaces) if space.tenant == tenant)

    def sweep(self, now: float) -> int:
        with self._lock:
            before = sum(len(there.rows) for there in self._spaces.values())
            for there in self._spaces.values():
                there.rows = {row[1].id: row for row in there.live(None, now)}
            return before - sum(len(there.rows) for there in self._spaces.values())

    def close(self) -> None:
        pass

    def _live(self, space: Space, passing: Filter | None, now: float) -> list[tuple[int, Entry, float]]:
        return (self._read(space) or _Namespace()).live(passing, now)

    def _read(self, space: Space) -> _Namespace | None:
        with self._lock:
            there = self._spaces.get(space)
            return there and replace(there, rows=dict(there.rows))


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def _found(scores: dict[int, float], limit: int) -> Found:
    best = sorted(scores.items(), key=lambda item: -item[1])[:limit]
    return Found(np.array([key for key, _ in best], np.int64), np.array([score for _, score in best], np.float32))
