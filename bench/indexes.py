"""What finds the nearest of many vectors, each behind the same four methods, for `bench.retrieve`.

Each runs in a process of its own.  Graphs are built and searched as carefully as the embedded store's: the same links,
the same candidates, where a library lets one say.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc
import hnswlib
import numpy as np
import psutil
import psycopg
from numpy.typing import NDArray
from pgvector.psycopg import register_vector
from usearch.index import Index

from bench import mesh
from services.retrieve import embedded
from services.retrieve.embedded.graph import CARE, LINKS, LOOKED_AT
from services.retrieve.filters import Between
from services.retrieve.store import Entry, Space
from tests import postgres
from tests.documents import fetched
from waypost import cpus
from waypost.v1 import common_pb2, retrieve_pb2, retrieve_pb2_grpc

TOP = 10
BATCH = 64
"""Queries of a call."""
CALLERS = 4
"""Of the mesh; others are called by one and use all cores by themselves, PostgreSQL by as many as there are cores."""
UPSERT = 1000
SPACE = Space("", "bench")
ROOMY = {
    "shared_buffers": "1GB",
    "dynamic_shared_memory_type": "mmap",
    "unix_socket_directories": "",
    "fsync": "off",
}
"""Of PostgreSQL: all of it fits into its memory."""
QUERY = "/waypost.v1.RetrieveService/QueryDocuments"

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Test:
    """A filter: the field is a number below this."""

    field: str
    below: int


@dataclass(frozen=True)
class Data:
    """Documents, in the order of their ids, and queries."""

    vectors: Vectors
    queries: Vectors
    fields: dict[str, NDArray[np.int64]]

    def passing(self, test: Test) -> NDArray[np.bool_]:
        """Of each document, whether it does."""
        return self.fields[test.field] < test.below


class Contender(Protocol):
    """An index over the vectors of `Data`."""

    def build(self, data: Data) -> None:
        """Everything that is needed before the first query."""

    def found(self, queries: Vectors, test: Test | None) -> Ids:
        """The nearest of each query, at most `TOP`; -1 where there are fewer."""

    def rate(self, data: Data, test: Test | None, seconds: float) -> float:
        """Queries answered per second."""

    def bytes(self) -> int:
        """What it takes beside the vectors as they were given."""

    def close(self) -> None:
        """Ends what it has started."""


class InProcess:
    """What the contenders that live in their process have in common."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = _private()

    def rate(self, data: Data, test: Test | None, seconds: float) -> float:
        return _rate(lambda queries: self.found(queries, test), data.queries, seconds)

    def bytes(self) -> int:
        return _private() - self._before

    def found(self, queries: Vectors, test: Test | None) -> Ids:
        raise NotImplementedError

    def close(self) -> None:
        pass


def _private() -> int:
    return int(psutil.Process().memory_full_info().uss)


def _rate(found: Any, queries: Vectors, seconds: float) -> float:
    """Called by one, a batch after the other."""
    began, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - began) < seconds or not count:
        start = count % len(queries)
        count += len(found(queries[start : start + BATCH]))
    return count / (elapsed or time.perf_counter() - began)


class Exact(InProcess):
    """A matrix product in numpy, and a selection."""

    def build(self, data: Data) -> None:
        self._data, self._vectors = data, np.array(data.vectors)

    def found(self, queries: Vectors, test: Test | None) -> Ids:
        cosines = queries @ self._vectors.T
        if test:
            cosines[:, ~self._data.passing(test)] = -2
        best = np.argpartition(-cosines, TOP, axis=1)[:, :TOP]
        ordered = np.take_along_axis(best, np.argsort(-np.take_along_axis(cosines, best, 1), axis=1), 1)
        return np.where(np.take_along_axis(cosines, ordered, 1) > -2, ordered, -1)


class Hnswlib(InProcess):
    """The library bare; its filter is a function in Python."""

    def build(self, data: Data) -> None:
        self._data = data
        self._index = hnswlib.Index(space="ip", dim=data.vectors.shape[1])
        self._index.init_index(max_elements=len(data.vectors), M=LINKS, ef_construction=CARE, random_seed=1)
        self._index.add_items(data.vectors)
        self._index.set_ef(LOOKED_AT)

    def found(self, queries: Vectors, test: Test | None) -> Ids:
        if test is None:
            return self._index.knn_query(queries, k=TOP)[0].astype(np.int64)
        passing = self._data.passing(test).tolist()
        return np.stack([self._passing(query, passing) for query in queries])

    def _passing(self, query: Vectors, passing: Sequence[bool]) -> Ids:
        try:
            return self._index.knn_query(query, k=TOP, num_threads=1, filter=passing.__getitem__)[0][0].astype(np.int64)
        except RuntimeError:  # fewer than asked for were met on the way
            return np.full(TOP, -1)


class Usearch(InProcess):
    """The library bare, whose Python side has no filters."""

    def __init__(self, folder: Path, dtype: str) -> None:
        super().__init__(folder)
        self._dtype = dtype

    def build(self, data: Data) -> None:
        graph = {"connectivity": LINKS, "expansion_add": CARE, "expansion_search": LOOKED_AT}
        self._index = Index(ndim=data.vectors.shape[1], metric="ip", dtype=self._dtype, **graph)
        self._index.add(np.arange(len(data.vectors)), np.array(data.vectors), threads=cpus.available())

    def found(self, queries: Vectors, test: Test | None) -> Ids:
        if test:
            raise NotImplementedError
        return self._index.search(queries, TOP, threads=cpus.available()).keys.astype(np.int64)


class Pgvector:
    """PostgreSQL's own index of this kind, over one connection per core; filters by its iterative scan."""

    def __init__(self, folder: Path) -> None:
        self._open = ExitStack()

    def build(self, data: Data) -> None:
        first = self._open.enter_context(postgres.server())
        first.stop()
        server = postgres.Server(first.folder, ROOMY)
        server.start()
        self._open.callback(server.stop)
        self._connections = [self._connected(server.url) for _ in range(cpus.available())]
        self._fill(self._connections[0], data)

    def _connected(self, url: str) -> psycopg.Connection[Any]:
        connection = self._open.enter_context(psycopg.connect(url, autocommit=True))
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute(f"SET hnsw.ef_search = {LOOKED_AT}")
        connection.execute("SET hnsw.iterative_scan = strict_order")
        register_vector(connection)
        return connection

    def _fill(self, connection: psycopg.Connection[Any], data: Data) -> None:
        names = list(data.fields)
        columns = "".join(f", {name} int" for name in names)
        connection.execute(f"CREATE TABLE documents (id int{columns}, embedding vector({data.vectors.shape[1]}))")
        into = f"COPY documents (id, {', '.join(names)}, embedding) FROM STDIN WITH (FORMAT BINARY)"
        with connection.cursor() as cursor, cursor.copy(into) as copy:
            copy.set_types(["int4", *["int4"] * len(names), "vector"])
            for at, vector in enumerate(data.vectors):
                copy.write_row((at, *(int(data.fields[name][at]) for name in names), vector))
        for name in names:
            connection.execute(f"CREATE INDEX ON documents ({name})")
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute(f"SET max_parallel_maintenance_workers = {cpus.available() - 1}")
        how = f"WITH (m = {LINKS}, ef_construction = {CARE})"
        connection.execute(f"CREATE INDEX ON documents USING hnsw (embedding vector_ip_ops) {how}")
        connection.execute("ANALYZE documents")

    def found(self, queries: Vectors, test: Test | None) -> Ids:
        parts = np.array_split(queries, len(self._connections))
        with ThreadPoolExecutor(len(parts)) as pool:
            asked = pool.map(lambda each: self._of(*each, test), zip(self._connections, parts, strict=True))
            return np.array([row for rows in asked for row in rows])

    def _of(self, connection: psycopg.Connection[Any], queries: Vectors, test: Test | None) -> list[list[int]]:
        where = f"WHERE {test.field} < {test.below}" if test else ""
        statement = f"SELECT id FROM documents {where} ORDER BY embedding <#> %b LIMIT {TOP}"
        with connection.pipeline():
            cursors = [connection.execute(statement, (query,), prepare=True) for query in queries]
            return [_filled([row[0] for row in cursor.fetchall()]) for cursor in cursors]

    def rate(self, data: Data, test: Test | None, seconds: float) -> float:
        return _rate(lambda queries: self.found(queries, test), data.queries, seconds)

    def bytes(self) -> int:
        row = self._connections[0].execute("SELECT pg_total_relation_size('documents')").fetchone()
        assert row
        return int(row[0])

    def close(self) -> None:
        self._open.close()


class Store(InProcess):
    """The embedded store in this process."""

    def build(self, data: Data) -> None:
        self._store = embedded.opened(self._folder / "store", max_bytes=8 << 30, exact_up_to=20_000)
        for entries in _entries(data):
            self._store.upsert(SPACE, entries, time.time())
        self._store.sweep(time.time())
        figures = self._store.figures(SPACE, time.time())
        assert figures and (figures.index, figures.unindexed) == ("hnsw", 0), figures

    def found(self, queries: Vectors, test: Test | None) -> Ids:
        """By id, for which they are fetched as well, as they are when they are served."""
        found = self._store.dense(SPACE, queries, TOP, _filter(test), time.time())
        there = fetched(self._store, SPACE, sorted({int(key) for each in found for key in each.keys}), with_text=False)
        return np.array([_filled([int(there[int(key)].id) for key in each.keys]) for each in found])

    def close(self) -> None:
        self._store.close()


class Served:
    """The embedded store behind router and worker, over the files that `Store` has made."""

    CONFIG = """
[[workers]]
name = "local"
[[workers.models]]
name = "documents"
backend = "retrieve"
retrieve = {{ folder = "{folder}", max_bytes = {max_bytes} }}
"""

    def __init__(self, folder: Path) -> None:
        self._made, self._open = folder / "store", ExitStack()

    def build(self, data: Data) -> None:
        folder = Path(self._open.enter_context(tempfile.TemporaryDirectory())) / "store"
        shutil.copytree(self._made, folder)
        config = self.CONFIG.format(folder=folder, max_bytes=8 << 30)
        self._mesh = self._open.enter_context(mesh.running(config))
        unlimited = [("grpc.max_receive_message_length", -1)]
        channel = self._open.enter_context(grpc.insecure_channel(self._mesh.address, options=unlimited))
        self._stub = retrieve_pb2_grpc.RetrieveServiceStub(channel)
        self.found(data.queries[:1], None)

    def found(self, queries: Vectors, test: Test | None) -> Ids:
        reply = self._stub.QueryDocuments(_request(queries, test), timeout=120)
        return np.array([_filled([int(each.document.id) for each in result.documents]) for result in reply.results])

    def rate(self, data: Data, test: Test | None, seconds: float) -> float:
        calls = [_request(data.queries[at : at + BATCH], test) for at in range(0, len(data.queries), BATCH)]
        payloads = [call.SerializeToString() for call in calls]
        latencies, elapsed = mesh.load(self._mesh.address, QUERY, payloads, CALLERS, seconds)
        return len(latencies) * BATCH / elapsed

    def bytes(self) -> int:
        return sum(int(psutil.Process(pid).memory_full_info().uss) for pid in self._mesh.worker_pids())

    def close(self) -> None:
        self._open.close()


def _entries(data: Data) -> Iterator[list[Entry]]:
    for start in range(0, len(data.vectors), UPSERT):
        yield [_entry(data, at) for at in range(start, min(start + UPSERT, len(data.vectors)))]


def _entry(data: Data, at: int) -> Entry:
    fields = {name: int(values[at]) for name, values in data.fields.items()}
    return Entry(str(at), f"document number {at}", fields, np.array(data.vectors[at]), None)


def _filter(test: Test | None) -> Between | None:
    return None if test is None else Between(test.field, below=test.below)


def _request(queries: Vectors, test: Test | None) -> retrieve_pb2.QueryDocumentsRequest:
    passing = None
    if test:
        bounds = retrieve_pb2.NumberRange(below=test.below)
        passing = retrieve_pb2.Filter(field=retrieve_pb2.FieldTest(field=test.field, range=bounds))
    return retrieve_pb2.QueryDocumentsRequest(
        namespace=SPACE.name,
        route=common_pb2.RouteHints(tenant=SPACE.tenant),
        queries=[retrieve_pb2.DocumentQuery(vector=retrieve_pb2.Vector(values=query)) for query in queries],
        top_k=TOP,
        mode=retrieve_pb2.QUERY_MODE_DENSE,
        filter=passing,
        without_text=True,
    )


def _filled(ids: list[int]) -> list[int]:
    return ids + [-1] * (TOP - len(ids))


def contender(name: str, folder: Path) -> Contender:
    """One of `NAMES`; `folder` is that of the run."""
    match name:
        case "usearch, float32":
            return Usearch(folder, "f32")
        case "usearch, float16":
            return Usearch(folder, "f16")
        case _:
            return _PLAIN[name](folder)


_PLAIN: dict[str, Any] = {
    "exact, numpy": Exact,
    "hnswlib": Hnswlib,
    "pgvector": Pgvector,
    "embedded store": Store,
    "embedded store through gRPC": Served,
}
NAMES = (
    "exact, numpy",
    "hnswlib",
    "usearch, float32",
    "usearch, float16",
    "pgvector",
    "embedded store",
    "embedded store through gRPC",
)
NO_FILTER = ("usearch, float32", "usearch, float16")
