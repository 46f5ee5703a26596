"""Documents of the embedded store: a worker is killed while clients store, replace and delete them.

Each client has ids of its own and sends one request after the other: some documents at once, new ones and others in
place of those that are there, or ids to be deleted.  So whoever was told last what is kept knows what must be there.
After each kill a new worker serves the same files, and every document is read: what was acknowledged must be there in
the version that was, with its text, metadata and vector; of a request that was under way, either all or nothing.

Few vectors are searched one by one here, so that graphs are built and grow while workers are killed.  In the end every
document must be found by its vector and by its words, and nothing by words of documents that are no more.
"""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory

import grpc
import numpy as np

from bench import processes
from bench.kills.evidence import Evidence, Plan
from services.retrieve.store import Vectors
from tests.plane import eventually
from waypost.v1 import retrieve_pb2 as pb
from waypost.v1.retrieve_pb2_grpc import RetrieveServiceStub

CLIENTS = 8
IDS = 120
"""Of a client."""
AT_ONCE = 12
"""Documents of a request, at most."""
DELETES = 0.15
"""Share of the requests."""
DIMENSIONS = 32
EXACT_UP_TO = 200
"""Vectors that are searched one by one; more get a graph."""
QUERIES = 64
"""Of a request."""
NAMESPACE = "kept"
TIMEOUT_S = 30.0
CONFIG = """
[[workers]]
name = "library"
[[workers.models]]
name = "documents"
backend = "retrieve"
retrieve = {{ folder = "{folder}", exact_up_to = {exact_up_to}, sweep_s = 0.1 }}
"""

State = dict[str, int | None]
"""Of each document its version; none: it was deleted."""


@dataclass
class Known:
    """What a client knows."""

    name: str
    chance: random.Random
    kept: State = field(default_factory=dict)
    """What it was told."""
    open: State = field(default_factory=dict)
    """What it asked for and was not told of."""
    past: list[tuple[str, int]] = field(default_factory=list)
    """Documents that are no more."""
    sent: int = 0
    acknowledged: int = 0

    def next(self) -> State:
        """What it asks for next."""
        self.sent += 1
        ids = self.chance.sample(range(IDS), self.chance.randint(1, AT_ONCE))
        version = None if self.chance.random() < DELETES else self.sent
        self.open = {f"{self.name}-{each}": version for each in ids}
        return self.open

    def told(self) -> None:
        """It was kept."""
        self.acknowledged += 1
        self.now(self.kept | self.open)

    def now(self, state: State) -> None:
        """It is so, whatever was asked for."""
        gone = ((id, version) for id, version in self.kept.items() if version is not None and state[id] != version)
        self.past.extend(gone)
        self.kept, self.open = state, {}


@dataclass
class Found:
    """What was wrong, of all lives: ids; and what became of requests that were under way."""

    lost: set[str] = field(default_factory=set)
    half: set[str] = field(default_factory=set)
    came_through: int = 0
    came_not: int = 0


def run(plan: Plan) -> Iterator[Evidence]:
    """One row."""
    chance, found = random.Random(plan.kills), Found()
    clients = [Known(f"c{number}", random.Random(number)) for number in range(CLIENTS)]
    with TemporaryDirectory() as folder:
        for _ in range(plan.kills):
            with _worker(folder) as worker, _stub(worker.address) as stub:
                _look(stub, clients, found)
                Spree(worker, stub, clients, round(plan.each * chance.uniform(0.5, 1.5))).run()
        with _worker(folder) as worker, _stub(worker.address) as stub:
            _look(stub, clients, found)
            found.lost |= _not_found(stub, clients)
            graph = eventually(lambda: _caught_up(stub))
    sent, acknowledged = sum(each.sent for each in clients), sum(each.acknowledged for each in clients)
    under_way = f"{found.came_through} requests under way were kept, {found.came_not} not"
    what = "documents, embedded store: requests that a worker answered"
    yield Evidence(what, plan.kills, sent, acknowledged, len(found.lost), len(found.half), f"{under_way}; {graph}")


@contextmanager
def _worker(folder: str) -> Iterator[processes.Process]:
    with processes.started("worker", CONFIG.format(folder=folder, exact_up_to=EXACT_UP_TO)) as worker:
        yield worker


@contextmanager
def _stub(address: str) -> Iterator[RetrieveServiceStub]:
    with grpc.insecure_channel(address) as channel:
        yield RetrieveServiceStub(channel)


class Spree:
    """Clients that call a worker until it is gone; it is killed with the `last`-th answer."""

    def __init__(
        self, worker: processes.Process, stub: RetrieveServiceStub, clients: Sequence[Known], last: int
    ) -> None:
        self._worker, self._stub, self._clients = worker, stub, clients
        self._left = last
        self._lock = threading.Lock()
        self._killed = threading.Event()

    def run(self) -> None:
        """Returns when it is gone."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(self._call, self._clients))
        self._worker.popen.wait()

    def _call(self, client: Known) -> None:
        while not self._killed.is_set():
            try:
                _ask(self._stub, client.next())
            except grpc.RpcError:
                if not self._killed.is_set():
                    raise
                return
            client.told()
            self._answered()

    def _answered(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._killed.set()
                self._worker.strike(signal.SIGKILL)


def _ask(stub: RetrieveServiceStub, wanted: State) -> None:
    stored = [_document(id, version) for id, version in wanted.items() if version is not None]
    if stored:
        stub.UpsertDocuments(pb.UpsertDocumentsRequest(namespace=NAMESPACE, documents=stored), timeout=TIMEOUT_S)
    else:
        stub.DeleteDocuments(pb.DeleteDocumentsRequest(namespace=NAMESPACE, ids=wanted), timeout=TIMEOUT_S)


def _document(id: str, version: int) -> pb.Document:
    document = pb.Document(id=id, text=f"text of {_word(id, version)}", vector=pb.Vector(values=_vector(id, version)))
    document.metadata.update({"id": id, "version": version})
    return document


def _word(id: str, version: int) -> str:
    """In no other document."""
    return f"{id}v{version}".replace("-", "x")


def _vector(id: str, version: int) -> Vectors:
    """Of unit length, and near to no other."""
    made = np.random.default_rng([version, *id.encode()]).standard_normal(DIMENSIONS, np.float32)
    return made / np.linalg.norm(made)


# ---- what is left ----


def _look(stub: RetrieveServiceStub, clients: Sequence[Known], found: Found) -> None:
    """Reads all documents, and lets clients know."""
    stub.SetNamespace(pb.SetNamespaceRequest(namespace=NAMESPACE), timeout=TIMEOUT_S)
    for client in clients:
        ids = [f"{client.name}-{each}" for each in range(IDS)]
        request = pb.GetDocumentsRequest(namespace=NAMESPACE, ids=ids, with_vector=True)
        there = {each.id: each for each in stub.GetDocuments(request, timeout=TIMEOUT_S).documents}
        found.half |= {id for id, document in there.items() if not _is_whole(document)}
        state = {id: int(there[id].metadata["version"]) if id in there else None for id in ids}
        _compare(client, state, found)
        client.now(state)


def _is_whole(document: pb.Document) -> bool:
    meant = _document(document.id, int(document.metadata["version"]))
    near = np.allclose(document.vector.values, meant.vector.values, atol=1e-6)
    return near and (document.text, document.metadata) == (meant.text, meant.metadata)


def _compare(client: Known, state: State, found: Found) -> None:
    sure = state.keys() - client.open.keys()
    found.lost |= {id for id in sure if state[id] != client.kept.get(id)}
    if not client.open:
        return
    if all(state[id] == version for id, version in client.open.items()):
        found.came_through += 1
    elif all(state[id] == client.kept.get(id) for id in client.open):
        found.came_not += 1
    else:
        found.half |= client.open.keys()


def _not_found(stub: RetrieveServiceStub, clients: Sequence[Known]) -> set[str]:
    """Documents that are not the first that is found by their vector or their words; and words of others that are."""
    there = [(id, version) for client in clients for id, version in client.kept.items() if version is not None]
    past = [each for client in clients for each in client.past[-AT_ONCE * IDS :]]
    by_vector = [pb.DocumentQuery(vector=pb.Vector(values=_vector(*each))) for each in there]
    first = _first(stub, pb.QUERY_MODE_DENSE, by_vector)
    missed = {id for (id, _), found in zip(there, first, strict=True) if found != id}
    first = _first(stub, pb.QUERY_MODE_BM25, [pb.DocumentQuery(text=_word(*each)) for each in there + past])
    meant = [id for id, _ in there] + [None] * len(past)
    return missed | {str(found or id) for id, found in zip(meant, first, strict=True) if found != id}


def _first(stub: RetrieveServiceStub, mode: pb.QueryMode, queries: Sequence[pb.DocumentQuery]) -> list[str | None]:
    """The best of each."""
    found: list[str | None] = []
    for start in range(0, len(queries), QUERIES):
        asked = queries[start : start + QUERIES]
        request = pb.QueryDocumentsRequest(namespace=NAMESPACE, queries=asked, mode=mode, top_k=1, without_text=True)
        results = stub.QueryDocuments(request, timeout=TIMEOUT_S).results
        found += [each.documents[0].document.id if each.documents else None for each in results]
    return found


def _caught_up(stub: RetrieveServiceStub) -> str:
    """Once a graph has most vectors: how many."""
    there = stub.GetNamespace(pb.GetNamespaceRequest(namespace=NAMESPACE), timeout=TIMEOUT_S).namespace
    if there.index != "hnsw" or there.unindexed > EXACT_UP_TO:
        return ""
    return f"{there.documents - there.unindexed} of {there.documents} documents are in a graph"
