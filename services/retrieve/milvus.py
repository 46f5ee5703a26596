"""Documents in Milvus 2.6 or newer, or in a file by milvus-lite; words are its own BM25.

A namespace is a collection of its own: tenants are apart, and a deleted namespace is dropped whole.  Its name and
retention are properties of the collection.  Ids are kept in hexadecimal digits, whose order is that of their bytes, and
filters ask for tokens (`services.retrieve.facts`): Milvus cannot ask for ranges in lists, and quotes strings in its own
way.

What Milvus does not give: an upsert is all or nothing for as long as the database lives, but is no transaction; texts
and metadata are at most 65,535 bytes each; what was deleted is gone from its files when it has compacted them and its
garbage collector has run (`dataCoord.gc`), which `sweep` asks for but does not wait for; it does not say how many bytes
a collection has, so figures are computed.  Reads are strongly consistent: what was stored is found by whoever asks
next, for which Milvus waits for its clock, some 0.1 s.

    milvus://user:password@host:19530/database    milvus+https://token@host    milvus:///folder/file.db
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import unquote, urlsplit

import grpc
import numpy as np
from pymilvus import DataType, Function, FunctionType, MilvusClient, MilvusException

from services.backend import ModelUnusable
from services.refusal import InvalidField, Refused, StoreUnreachable
from services.retrieve import facts, filters
from services.retrieve.entries import comparable, dimensions, one_by_one
from services.retrieve.filters import All, Exists, Filter, Not
from services.retrieve.messages import document
from services.retrieve.store import Batch, Entry, Figures, Found, Key, Space, Store, Stored, Vectors
from waypost.v1 import retrieve_pb2 as pb

PREFIX = "waypost"
TIMEOUT_S = 20.0
MOST_BYTES = 65_535
"""Of a text, and of metadata as JSON."""
MOST_FACTS = 4_096
MOST_ROWS = 16_384
"""Of one answer."""
NO_SUCH_COLLECTION = 100
NO_EXPIRY = -1.0
PLAIN = ["id", "key", "metadata", "stored", "expires"]

logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # It prints every error that it raises.


def opened(url: str, home: Path) -> Store:
    """See `services.retrieve.stores.Open`."""
    uri, options = address(url)
    try:
        client = MilvusClient(uri, timeout=TIMEOUT_S, **options)
    except (MilvusException, grpc.RpcError) as error:
        raise StoreUnreachable(str(error)) from error
    return _Milvus(client, lite="://" not in uri)


def address(url: str) -> tuple[str, dict[str, str]]:
    """What the client is told: address, and the rest."""
    parts = urlsplit(url)
    if not parts.netloc:
        if not parts.path:
            raise ModelUnusable("store: milvus:// has neither a host nor the path of a file")
        return parts.path, {}
    token = unquote(parts.netloc.rpartition("@")[0])
    scheme = "https" if parts.scheme.endswith("+https") else "http"
    return f"{scheme}://{parts.hostname}:{parts.port or 19530}", {"token": token, "db_name": parts.path.strip("/")}


@dataclass(frozen=True)
class _Collection:
    """A namespace, as its collection describes it."""

    name: str
    space: Space
    retention: float | None
    dimensions: int | None
    """None: it has no documents yet, which may bring vectors; 0: they have none."""

    def live(self, now: float) -> str:
        """Of what has not expired."""
        since = "" if self.retention is None else f" and stored > {now - self.retention!r}"
        return f"(expires > {now!r} or (expires < 0{since}))"

    def expires(self, own: float, stored: float) -> float | None:
        if own != NO_EXPIRY:
            return own
        return None if self.retention is None else stored + self.retention


class _Milvus:
    """See `services.retrieve.store.Store`."""

    def __init__(self, client: MilvusClient, lite: bool) -> None:
        self._client = client
        self._lite = lite
        self._making = Lock()
        self._changing: AbstractContextManager[Any] = Lock() if lite else nullcontext()
        """milvus-lite takes one change at a time."""

    def upsert(self, space: Space, entries: Sequence[Entry], now: float) -> Stored:
        there = self._seen(space)
        size = dimensions(entries, there.dimensions if there else None)
        rows = {_hex(entry.id): _row(index, entry, now) for index, entry in enumerate(entries)}
        if there is None or there.dimensions is None:
            there = self._made(space, size)
            dimensions(entries, there.dimensions)
        with self._changing:
            replaced = self._count(there, f"{_among('id', list(rows))} and {there.live(now)}")
            self._ask("upsert", there.name, data=list(rows.values()))
        return Stored(len(rows) - replaced, replaced)

    def upsert_each(self, batches: Sequence[Batch], now: float) -> list[Stored | Refused]:
        return one_by_one(self.upsert, batches, now)

    def delete(self, space: Space, ids: Sequence[str] | None, passing: Filter | None, now: float) -> int:
        there = self._seen(space)
        if there is None:
            return 0
        which = [there.live(now), *([] if passing is None else [_expression(passing)])]
        if ids is not None:
            which.append(_among("id", [_hex(id) for id in ids]))
        with self._changing:
            gone = self._count(there, " and ".join(which))
            if ids is None and passing is None:
                self._drop(space)
            elif gone:
                self._ask("delete", there.name, filter=" and ".join(which))
        return gone

    def dense(self, space: Space, vectors: Vectors, limit: int, passing: Filter | None, now: float) -> list[Found]:
        there = self._seen(space)
        if there is None or not there.dimensions:
            return [_found([]) for _ in vectors]
        comparable(vectors, there.dimensions)
        params = {"metric_type": "COSINE", "params": {"ef": max(128, 2 * limit)}}
        return self._search(there, "vector", [row.tolist() for row in vectors], params, limit, passing, now)

    def words(self, space: Space, texts: Sequence[str], limit: int, passing: Filter | None, now: float) -> list[Found]:
        there = self._seen(space)
        said = [text for text in texts if text.strip()]
        if there is None or there.dimensions is None or not said:
            return [_found([]) for _ in texts]
        answers = iter(self._search(there, "words", said, {"metric_type": "BM25"}, limit, passing, now))
        return [next(answers) if text.strip() else _found([]) for text in texts]

    def fetch(
        self, space: Space, keys: Sequence[Key], *, with_text: bool = True, with_vector: bool = False
    ) -> dict[Key, bytes]:
        there = self._seen(space)
        if there is None:
            return {}
        rows = self._query(there, _among("key", keys), with_vector, with_text=with_text)
        return {row["key"]: _kept(there, row).SerializeToString() for row in rows}

    def get(self, space: Space, ids: Sequence[str], with_vector: bool, now: float) -> list[pb.Document]:
        there = self._seen(space)
        if there is None:
            return []
        rows = self._query(there, f"{_among('id', [_hex(id) for id in ids])} and {there.live(now)}", with_vector)
        by_id = {kept.id: kept for kept in (_kept(there, row) for row in rows)}
        return [by_id[id] for id in ids if id in by_id]

    def page(self, space: Space, after: str, limit: int, passing: Filter | None, now: float) -> list[pb.Document]:
        there = self._seen(space)
        if there is None:
            return []
        which = f'id > "{_hex(after)}" and {there.live(now)} and {_expression(passing or All(()))}'
        return [_kept(there, row) for row in self._query(there, which, False, limit=min(limit, MOST_ROWS))]

    def set_retention(self, space: Space, retention: float | None) -> None:
        with self._making, self._changing:
            there = self._seen(space)
            if there is None:
                self._create(_Collection(_waiting(space), space, retention, None))
            else:
                self._ask("alter_collection_properties", there.name, properties=_properties(space, retention))

    def figures(self, space: Space, now: float) -> Figures | None:
        there = self._seen(space)
        if there is None:
            return None
        documents = self._count(there, there.live(now))
        size = there.dimensions or 0
        index = ("exact" if self._lite else "hnsw") if size else ""
        return Figures(space.name, there.retention, documents, size, 0, documents * size * 4, index, 0)

    def names(self, tenant: str) -> list[str]:
        return sorted({there.space.name for there in self._collections(f"{PREFIX}_{_digest(tenant)}_")})

    def sweep(self, now: float) -> int:
        return sum(self._swept(there, now) for there in self._collections(f"{PREFIX}_"))

    def close(self) -> None:
        self._client.close()

    # Collections

    def _seen(self, space: Space) -> _Collection | None:
        """The namespace's collection; the one that waits for documents where there is none with some."""
        return self._described(_named(space)) or self._described(_waiting(space))

    def _described(self, name: str) -> _Collection | None:
        try:
            described = self._ask("describe_collection", name)
        except _NoSuchCollection:
            return None
        said = {key: value for key, value in described["properties"].items() if key.startswith(PREFIX)}
        retention = json.loads(said[f"{PREFIX}.retention"])
        sizes = [int(field["params"]["dim"]) for field in described["fields"] if field["name"] == "vector"]
        size = None if name.endswith("_waiting") else sum(sizes)
        return _Collection(name, Space(said[f"{PREFIX}.tenant"], said[f"{PREFIX}.name"]), retention, size)

    def _collections(self, prefix: str) -> list[_Collection]:
        names = [name for name in self._ask("list_collections") if name.startswith(prefix)]
        return [there for there in map(self._described, names) if there]

    def _made(self, space: Space, size: int) -> _Collection:
        """The collection for documents with such vectors; another's, who was faster."""
        with self._making, self._changing:
            there = self._seen(space)
            if there is None or there.dimensions is None:
                made = _Collection(_named(space), space, there.retention if there else None, size)
                self._create(made)
                self._ask("drop_collection", _waiting(space))
                return made
            return there

    def _create(self, made: _Collection) -> None:
        index = self._client.prepare_index_params()
        index.add_index("words", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
        index.add_index("key", index_type="INVERTED")
        if made.dimensions:
            index.add_index("vector", index_type="HNSW", metric_type="COSINE", params={"M": 16, "efConstruction": 200})
        if not self._lite:
            index.add_index("facts", index_type="INVERTED")
        self._ask(
            "create_collection",
            made.name,
            schema=_schema(made.dimensions or 0),
            index_params=index,
            consistency_level="Strong",
            properties=_properties(made.space, made.retention),
        )

    def _drop(self, space: Space) -> None:
        for name in (_waiting(space), _named(space)):
            self._ask("drop_collection", name)

    def _swept(self, there: _Collection, now: float) -> int:
        expired = f"not {there.live(now)}"
        with self._changing:
            gone = self._count(there, expired)
            if gone:
                self._ask("delete", there.name, filter=expired)
                self._ask("flush", there.name)
                self._ask("compact", there.name)
        return gone

    # Rows

    def _search(
        self,
        there: _Collection,
        field: str,
        asked: list[Any],
        params: dict[str, Any],
        limit: int,
        passing: Filter | None,
        now: float,
    ) -> list[Found]:
        answers = self._ask(
            "search",
            there.name,
            data=asked,
            anns_field=field,
            limit=min(limit, MOST_ROWS),
            filter=f"{there.live(now)} and {_expression(passing or All(()))}",
            search_params=params,
            output_fields=["key"],
        )
        return [_found(answer) for answer in answers]

    def _query(
        self, there: _Collection, which: str, with_vector: bool, with_text: bool = True, **options: Any
    ) -> list[dict[str, Any]]:
        """Rows, in the order of their ids."""
        fields = [*PLAIN, *["text"] * with_text, *["vector"] * (with_vector and bool(there.dimensions))]
        rows = self._ask("query", there.name, filter=which, output_fields=fields, iterator="True", **options)
        return sorted(rows, key=lambda row: str(row["id"]))

    def _count(self, there: _Collection, which: str) -> int:
        (row,) = self._ask("query", there.name, filter=which, output_fields=["count(*)"])
        return int(row["count(*)"])

    def _ask(self, method: str, *args: Any, **options: Any) -> Any:
        try:
            return getattr(self._client, method)(*args, timeout=TIMEOUT_S, **options)
        except MilvusException as error:
            if error.code == NO_SUCH_COLLECTION:
                raise _NoSuchCollection(error.message) from error
            raise StoreUnreachable(error.message) from error
        except grpc.RpcError as error:
            raise StoreUnreachable(str(error)) from error


class _NoSuchCollection(StoreUnreachable):
    """There is no collection of the name, or no longer."""


def _schema(size: int) -> Any:
    """Of a collection; vectors are left out of where there are none."""
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=1_024)
    schema.add_field("key", DataType.INT64)
    schema.add_field("text", DataType.VARCHAR, max_length=MOST_BYTES, enable_analyzer=True)
    schema.add_field("words", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("metadata", DataType.VARCHAR, max_length=MOST_BYTES)
    schema.add_field(
        "facts",
        DataType.ARRAY,
        element_type=DataType.VARCHAR,
        max_capacity=MOST_FACTS,
        max_length=facts.LENGTH,
    )
    schema.add_field("stored", DataType.DOUBLE)
    schema.add_field("expires", DataType.DOUBLE)
    if size:
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=size)
    bm25 = Function("bm25", FunctionType.BM25, input_field_names=["text"], output_field_names=["words"])
    schema.add_function(bm25)
    return schema


def _row(index: int, entry: Entry, now: float) -> dict[str, Any]:
    """A document as it is kept.

    Raises:
        InvalidField: it is larger than Milvus takes.
    """
    said = facts.of(entry.metadata)
    metadata = json.dumps(entry.metadata, ensure_ascii=False)
    _at_most(MOST_BYTES, f"documents[{index}].text", len(entry.text.encode()), "bytes")
    _at_most(MOST_BYTES, f"documents[{index}].metadata", len(metadata.encode()), "bytes")
    _at_most(MOST_FACTS, f"documents[{index}].metadata", len(said), "values, of which a number counts as 17")
    row = {
        "id": _hex(entry.id),
        "key": secrets.randbits(62),
        "text": entry.text,
        "metadata": metadata,
        "facts": sorted(said),
        "stored": now,
        "expires": NO_EXPIRY if entry.expires is None else entry.expires,
    }
    return row if entry.vector is None else row | {"vector": entry.vector.tolist()}


def _at_most(most: int, field: str, actual: int, unit: str) -> None:
    if actual > most:
        raise InvalidField(field, f"{actual} {unit}", f"at most {most} {unit} for Milvus")


def _kept(there: _Collection, row: dict[str, Any]) -> pb.Document:
    id, expires = bytes.fromhex(row["id"]).decode(), there.expires(row["expires"], row["stored"])
    return document(id, row.get("text", ""), json.loads(row["metadata"]), expires, row.get("vector"))


def _found(answer: Sequence[dict[str, Any]]) -> Found:
    """milvus-lite tells BM25 with a minus."""
    keys = np.array([hit["entity"]["key"] for hit in answer], np.int64)
    return Found(keys, np.array([hit["distance"] for hit in answer], np.float32))


def _expression(filter: Filter) -> str:
    """A filter in Milvus' language."""
    match filter:
        case All(inner):
            return _joined(" and ", inner) if inner else "key >= 0"
        case filters.Any(inner):
            return _joined(" or ", inner) if inner else "key < 0"
        case Not(inner):
            return f"(not {_expression(inner)})"
        case Exists(there=False):
            return f"(not {_expression(replace(filter, there=True))})"
        case test:
            tokens = facts.asked(test)
            return f"array_contains_any(facts, {json.dumps(tokens)})" if tokens else "key < 0"


def _joined(by: str, inner: Sequence[Filter]) -> str:
    return f"({by.join(_expression(each) for each in inner)})"


def _among(field: str, values: Sequence[str] | Sequence[int]) -> str:
    return f"{field} in {json.dumps(list(values))}"


def _properties(space: Space, retention: float | None) -> dict[str, str]:
    said = {"tenant": space.tenant, "name": space.name, "retention": json.dumps(retention)}
    return {f"{PREFIX}.{key}": value for key, value in said.items()}


def _named(space: Space) -> str:
    """A collection's name has letters, digits and underscores."""
    return f"{PREFIX}_{_digest(space.tenant)}_{_digest(space.name)}"


def _waiting(space: Space) -> str:
    """Of a collection that only keeps the properties of a namespace that has had no documents: which vectors theirs
    will have is not known."""
    return f"{_named(space)}_waiting"


def _digest(name: str) -> str:
    return blake2b(name.encode(), digest_size=16).hexdigest()


def _hex(id: str) -> str:
    return id.encode().hex()
