"""The store in PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from sqlalchemy import Connection, Engine, Row, text

from services.refusal import InvalidField, Refused
from services.retrieve.entries import comparable, dimensions, last_of_each, one_by_one
from services.retrieve.filters import Filter
from services.retrieve.messages import document
from services.retrieve.postgres import words
from services.retrieve.postgres.conditions import Parameters, condition
from services.retrieve.postgres.graphs import Graphs, nearest
from services.retrieve.postgres.reached import persistent, reached
from services.retrieve.store import Batch, Entry, Figures, Found, Key, Space, Stored, Vectors
from waypost.v1 import retrieve_pb2 as pb

LIVE = """namespace = :namespace AND (
    expires > :now OR (expires IS NULL AND (CAST(:retention AS float8) IS NULL OR stored > :now - :retention))
)"""
EXPIRED = """DELETE FROM embeddings USING namespaces
WHERE namespaces.id = namespace AND expires IS NULL AND stored <= :now - retention"""
STAYS, GOES = "FOR KEY SHARE", "FOR UPDATE"
"""How a change locks its namespace: who deletes it waits for those who change what is in it, and they for him."""
COLUMNS = "key, document_id, CAST(metadata AS text) AS metadata, stored, expires"
MAKE = """INSERT INTO namespaces (tenant, name, dimensions) VALUES (:tenant, :name, :size)
ON CONFLICT (tenant, name) DO UPDATE SET dimensions = coalesce(namespaces.dimensions, excluded.dimensions)
RETURNING id, retention, dimensions, graph"""
INSERT = """INSERT INTO embeddings
    (namespace, document_id, content, metadata, embedding, words, length, stored, expires)
SELECT :namespace, id, content, CAST(metadata AS jsonb), CAST(vector AS vector), lexemes,
    (SELECT coalesce(sum(cardinality(positions)), 0) FROM unnest(lexemes)), :now, expires
FROM unnest(CAST(:ids AS text[]), CAST(:contents AS text[]), CAST(:metadatas AS text[]), CAST(:vectors AS text[]),
        CAST(:plains AS text[]), CAST(:expires AS float8[]))
    AS given (id, content, metadata, vector, plain, expires),
    to_tsvector('every_word', plain) AS lexemes
ORDER BY id
ON CONFLICT (namespace, document_id) DO UPDATE SET key = DEFAULT, content = excluded.content,
    metadata = excluded.metadata, embedding = excluded.embedding, words = excluded.words, length = excluded.length,
    stored = excluded.stored, expires = excluded.expires
RETURNING xmax = 0 AS added"""
"""In the order of the ids, so that no two wait for each other."""
FIGURES = f"""SELECT count(*) FILTER (WHERE {LIVE}) AS documents, coalesce(sum(
    pg_column_size(content) + pg_column_size(metadata) + pg_column_size(words) + coalesce(pg_column_size(embedding), 0)
), 0) AS bytes FROM embeddings WHERE namespace = :namespace"""


@dataclass(frozen=True)
class _Namespace:
    """As its row has it."""

    id: int
    retention: float | None
    dimensions: int | None
    graph: bool

    def at(self, now: float) -> Parameters:
        """Parameters of `LIVE`."""
        return {"namespace": self.id, "retention": self.retention, "now": now}


class Postgres:
    """See `services.retrieve.store.Store`."""

    def __init__(self, engine: Engine, graphs: Graphs | None = None) -> None:
        self._engine = engine
        self._graphs = graphs or Graphs(engine)
        self._deleted = False
        """Something was, since the last sweep."""

    def upsert(self, space: Space, entries: Sequence[Entry], now: float) -> Stored:
        for index, entry in enumerate(entries):
            _check(index, entry)
        return persistent(lambda: self._upserted(space, entries, now))

    def upsert_each(self, batches: Sequence[Batch], now: float) -> list[Stored | Refused]:
        return one_by_one(self.upsert, batches, now)

    def delete(self, space: Space, ids: Sequence[str] | None, passing: Filter | None, now: float) -> int:
        return persistent(lambda: self._removed(space, ids, passing, now))

    def dense(self, space: Space, vectors: Vectors, limit: int, passing: Filter | None, now: float) -> list[Found]:
        which, parameters = condition(passing)
        with self._in(space) as (connection, there):
            if there is None or not there.dimensions:
                return [_found([]) for _ in vectors]
            comparable(vectors, there.dimensions)
            graph = there.dimensions if there.graph else None
            where, parameters = f"{LIVE} AND {which}", parameters | there.at(now)
            asked = [_vector(each) for each in vectors]
            return [_found(nearest(connection, each, limit, where, parameters, there.id, graph)) for each in asked]

    def words(self, space: Space, texts: Sequence[str], limit: int, passing: Filter | None, now: float) -> list[Found]:
        which, parameters = condition(passing)
        with self._in(space) as (connection, there):
            if there is None:
                return [_found([]) for _ in texts]
            search, parameters = text(words.SEARCH.format(where=f"{LIVE} AND {which}")), parameters | there.at(now)
            asked = ({"text": words.plain(each), "limit": limit} for each in texts)
            return [_found(connection.execute(search, parameters | each).all()) for each in asked]

    def fetch(
        self, space: Space, keys: Sequence[Key], *, with_text: bool = True, with_vector: bool = False
    ) -> dict[Key, bytes]:
        with self._in(space) as (connection, there):
            if there is None:
                return {}
            which = "namespace = :namespace AND key = ANY(:keys)"
            rows = connection.execute(
                text(f"SELECT {_columns(with_text, with_vector)} FROM embeddings WHERE {which}"),
                {"namespace": there.id, "keys": list(keys)},
            )
            return {row.key: _kept(row, there.retention).SerializeToString() for row in rows}

    def get(self, space: Space, ids: Sequence[str], with_vector: bool, now: float) -> list[pb.Document]:
        with self._in(space) as (connection, there):
            if there is None:
                return []
            rows = connection.execute(
                text(f"SELECT {_columns(True, with_vector)} FROM embeddings WHERE {LIVE} AND document_id = ANY(:ids)"),
                there.at(now) | {"ids": _storable(ids)},
            )
            by_id = {row.document_id: _kept(row, there.retention) for row in rows}
            return [by_id[id] for id in ids if id in by_id]

    def page(self, space: Space, after: str, limit: int, passing: Filter | None, now: float) -> list[pb.Document]:
        which, parameters = condition(passing)
        where = f"{LIVE} AND document_id > :after AND {which} ORDER BY document_id LIMIT :limit"
        with self._in(space) as (connection, there):
            if there is None:
                return []
            rows = connection.execute(
                text(f"SELECT {_columns(True, False)} FROM embeddings WHERE {where}"),
                parameters | there.at(now) | {"after": after.partition("\0")[0], "limit": limit},
            )
            return [_kept(row, there.retention) for row in rows]

    def set_retention(self, space: Space, retention: float | None) -> None:
        change = """INSERT INTO namespaces (tenant, name, retention) VALUES (:tenant, :name, :retention)
            ON CONFLICT (tenant, name) DO UPDATE SET retention = excluded.retention"""
        with self._transaction() as connection:
            connection.execute(text(change), {"tenant": space.tenant, "name": space.name, "retention": retention})

    def figures(self, space: Space, now: float) -> Figures | None:
        with self._in(space) as (connection, there):
            if there is None:
                return None
            row = connection.execute(text(FIGURES), there.at(now)).one()
            size = there.dimensions or 0
            index = ("hnsw" if there.graph else "exact") if size else ""
            return Figures(space.name, there.retention, row.documents, size, int(row.bytes), 0, index, 0)

    def names(self, tenant: str) -> list[str]:
        with self._transaction() as connection:
            rows = connection.execute(text("SELECT name FROM namespaces WHERE tenant = :tenant"), {"tenant": tenant})
            return sorted(row.name for row in rows)

    def sweep(self, now: float) -> int:
        with self._transaction() as connection:
            gone = connection.execute(text("DELETE FROM embeddings WHERE expires <= :now"), {"now": now}).rowcount
            gone += connection.execute(text(EXPIRED), {"now": now}).rowcount
        with reached():
            self._graphs.tend()
            if gone or self._deleted:
                self._deleted = False
                self._graphs.vacuum()
        return gone

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with reached(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _in(self, space: Space, lock: str = "") -> Iterator[tuple[Connection, _Namespace | None]]:
        """A transaction, and the namespace; None where there is none."""
        with self._transaction() as connection:
            yield connection, _there(connection, space, lock)

    def _upserted(self, space: Space, entries: Sequence[Entry], now: float) -> Stored:
        with self._in(space, STAYS) as (connection, there):
            size = dimensions(entries, there.dimensions if there else None)
            if there is None or there.dimensions is None:
                there = _made(connection, space, size)
                dimensions(entries, there.dimensions)
            last = last_of_each(entries)
            parameters = there.at(now) | {"ids": [entry.id for entry in last]}
            which = f"namespace = :namespace AND document_id = ANY(:ids) AND NOT ({LIVE})"
            connection.execute(text(f"DELETE FROM embeddings WHERE {which}"), parameters)
            rows = connection.execute(text(INSERT), parameters | _columns_of(last)).all()
        added = sum(row.added for row in rows)
        return Stored(added, len(rows) - added)

    def _removed(self, space: Space, ids: Sequence[str] | None, passing: Filter | None, now: float) -> int:
        which, parameters = condition(passing)
        if ids is not None:
            which, parameters = f"{which} AND document_id = ANY(:ids)", parameters | {"ids": _storable(ids)}
        with self._in(space, GOES if ids is None and passing is None else STAYS) as (connection, there):
            if there is None:
                return 0
            done = connection.execute(
                text(f"DELETE FROM embeddings WHERE {LIVE} AND {which}"), parameters | there.at(now)
            )
            if ids is None and passing is None:
                connection.execute(text("DELETE FROM namespaces WHERE id = :id"), {"id": there.id})
            self._deleted = True
        return int(done.rowcount)


def _there(connection: Connection, space: Space, lock: str) -> _Namespace | None:
    select = "SELECT id, retention, dimensions, graph FROM namespaces WHERE tenant = :tenant AND name = :name"
    found = connection.execute(text(f"{select} {lock}"), {"tenant": space.tenant, "name": space.name}).one_or_none()
    return _Namespace(**found._mapping) if found else None


def _made(connection: Connection, space: Space, size: int) -> _Namespace:
    """Made, or told how long its vectors are; another's, who was faster."""
    said = {"tenant": space.tenant, "name": space.name, "size": size}
    return _Namespace(**connection.execute(text(MAKE), said).one()._mapping)


def _columns(with_text: bool, with_vector: bool) -> str:
    content = "content" if with_text else "''"
    embedding = "CAST(embedding AS real[])" if with_vector else "NULL"
    return f"{COLUMNS}, {content} AS content, {embedding} AS embedding"


def _columns_of(entries: Sequence[Entry]) -> Parameters:
    """Documents, column by column."""
    return {
        "contents": [entry.text for entry in entries],
        "metadatas": [json.dumps(entry.metadata) for entry in entries],
        "vectors": [None if entry.vector is None else _vector(entry.vector) for entry in entries],
        "plains": [words.plain(entry.text) for entry in entries],
        "expires": [entry.expires for entry in entries],
    }


def _vector(vector: Any) -> str:
    """As pgvector reads it."""
    return orjson.dumps(np.ascontiguousarray(vector, np.float32), option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _kept(row: Row[Any], retention: float | None) -> pb.Document:
    expires = row.stored + retention if row.expires is None and retention is not None else row.expires
    metadata = json.loads(row.metadata, parse_int=float)
    return document(row.document_id, row.content, metadata, expires, row.embedding)


def _found(rows: Sequence[Row[Any]]) -> Found:
    keys = np.array([row.key for row in rows], np.int64)
    return Found(keys, np.array([row.score for row in rows], np.float32))


def _check(index: int, entry: Entry) -> None:
    """PostgreSQL has no NUL characters.

    Raises:
        InvalidField: the document has one.
    """
    metadata = json.dumps(entry.metadata).replace("\\\\", "")
    nul = {"id": "\0" in entry.id, "text": "\0" in entry.text, "metadata": "\\u0000" in metadata}
    for field in (field for field, has in nul.items() if has):
        raise InvalidField(f"documents[{index}].{field}", "one with a NUL character", "without, for PostgreSQL")


def _storable(ids: Sequence[str]) -> list[str]:
    """Those that can be there."""
    return [id for id in ids if "\0" not in id]
