"""Requests as they come from the worker's shell, answered from a store: threads that read, and threads that change.

Queries that wait are taken together, because a store answers many at once in less time than one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby
from threading import Event
from typing import Literal, TypeVar

import structlog
from google.protobuf.message import Message

from services.refusal import ModelFailed, NamespaceNotFound, Refused
from services.retrieve import filters, messages
from services.retrieve.search import Ask, Search, must_be_there
from services.retrieve.store import Batch, Figures, Space, Store, Stored
from waypost._core import Desk, Errand
from waypost.config import Retrieve
from waypost.life import beside
from waypost.v1 import retrieve_pb2 as pb

QUERIES = 64
"""That a thread takes at once: more make no search cheaper, and what waits may be another thread's."""
DOCUMENTS = 1024
"""The same of a commit, for which their callers wait."""
PAGE = 100
"""Documents of a page whose size is not said."""

T = TypeVar("T")

log = structlog.get_logger()


def serve(desk: Desk, store: Store, settings: Retrieve) -> None:
    """Answers until the desk is closed, then closes the store."""
    librarian = Librarian(store)
    read = _taking(desk, "read", QUERIES, librarian.read)
    change = _taking(desk, "change", DOCUMENTS, librarian.change)
    others = [*[read] * (settings.readers - 1), *[change] * settings.writers, _sweeper(store, settings.sweep_s)]
    try:
        with beside(others):
            read(Event())
    finally:
        store.close()


class Librarian:
    """Answers errands from a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._search = Search(store)

    def read(self, errands: Sequence[Errand]) -> None:
        """Answers some; queries together, the others one by one."""
        wanted = [errand for errand in errands if not errand.cancelled]
        self._query([errand for errand in wanted if errand.method == "QueryDocuments"])
        for errand in wanted:
            if errand.method != "QueryDocuments":
                _answer(errand, partial(READS[errand.method], self._store, errand))

    def change(self, errands: Sequence[Errand]) -> None:
        """Answers some, in their order; upserts that follow each other together."""
        for upserts, run in groupby(errands, lambda errand: errand.method == "UpsertDocuments"):
            if upserts:
                self._upsert(run)
                continue
            for errand in run:
                _answer(errand, partial(CHANGES[errand.method], self._store, errand))

    def _upsert(self, errands: Iterable[Errand]) -> None:
        now = time.time()
        batches = _understood(errands, partial(_batch, now=now))
        try:
            outcomes = self._store.upsert_each([batch for _, batch in batches], now)
        except Exception as error:  # whatever it is: all hear of it
            for errand, _ in batches:
                _fail(errand, error)
            return
        for (errand, _), outcome in zip(batches, outcomes, strict=True):
            _answer(errand, partial(_stored, outcome))

    def _query(self, errands: Sequence[Errand]) -> None:
        for group in _grouped(_understood(errands, Ask.of)):
            self._answer_group(group)

    def _answer_group(self, group: Sequence[tuple[Errand, Ask]]) -> None:
        """Where they fail together each is asked alone: only the one that is to blame hears of it."""
        errands, asks = zip(*group, strict=True)
        if len(group) == 1:
            return _told(errands[0], lambda: errands[0].answer(self._search.answers(asks)[0]))
        try:
            replies = self._search.answers(asks)
        except Exception:  # whatever it is: whoever is to blame hears of it when asked alone
            for each in group:
                self._answer_group([each])
            return
        for errand, reply in zip(errands, replies, strict=True):
            errand.answer(reply)


def _understood(errands: Iterable[Errand], read: Callable[[Errand], T]) -> list[tuple[Errand, T]]:
    """What each asks; one that asks nothing that can be meant is answered."""
    understood: list[tuple[Errand, T]] = []

    def understand(errand: Errand) -> None:
        understood.append((errand, read(errand)))

    for errand in errands:
        _told(errand, partial(understand, errand))
    return understood


def _grouped(asks: Iterable[tuple[Errand, Ask]]) -> list[list[tuple[Errand, Ask]]]:
    groups: dict[object, list[tuple[Errand, Ask]]] = {}
    for each in asks:
        groups.setdefault(each[1].alike, []).append(each)
    return list(groups.values())


def _taking(
    desk: Desk, lane: Literal["read", "change"], most: int, answer: Callable[[Sequence[Errand]], None]
) -> Callable[[Event], None]:
    """Of a lane so many at once, until the desk is closed."""

    def work(end: Event) -> None:
        while errands := desk.take(lane, most):
            answer(errands)

    return work


def _sweeper(store: Store, period_s: float) -> Callable[[Event], None]:
    """What fails now is tried again at the next turn."""

    def work(end: Event) -> None:
        while not end.wait(period_s):
            try:
                store.sweep(time.time())
            except Exception as error:
                log.error("documents: the sweep failed", error=str(error), exc_info=error)

    return work


def _answer(errand: Errand, reply: Callable[[], Message]) -> None:
    _told(errand, lambda: errand.answer(reply().SerializeToString()))


def _told(errand: Errand, work: Callable[[], None]) -> None:
    """A failure is the answer."""
    try:
        work()
    except Exception as error:
        _fail(errand, error)


def _fail(errand: Errand, error: Exception) -> None:
    if not isinstance(error, Refused):
        log.error("documents: a request failed", method=errand.method, error=str(error), exc_info=error)
        error = ModelFailed(f"{errand.method}: {type(error).__name__}: {error}")
    errand.fail(error.as_json())


def _batch(errand: Errand, now: float) -> Batch:
    request = pb.UpsertDocumentsRequest.FromString(errand.request)
    return Batch(Space(errand.tenant, request.namespace), messages.entries(request, errand.vectors, now))


def _stored(outcome: Stored | Refused) -> Message:
    if isinstance(outcome, Refused):
        raise outcome
    return pb.UpsertDocumentsResponse(added=outcome.added, replaced=outcome.replaced)


def _delete(store: Store, errand: Errand) -> Message:
    request = pb.DeleteDocumentsRequest.FromString(errand.request)
    space, now = Space(errand.tenant, request.namespace), time.time()
    passing = filters.read(request.filter) if request.HasField("filter") else None
    ids = None if passing else list(request.ids)
    return pb.DeleteDocumentsResponse(deleted=store.delete(space, ids, passing, now))


def _set_namespace(store: Store, errand: Errand) -> Message:
    request = pb.SetNamespaceRequest.FromString(errand.request)
    space = Space(errand.tenant, request.namespace)
    kept = request.retention.ToTimedelta().total_seconds() if request.HasField("retention") else None
    store.set_retention(space, kept)
    return pb.SetNamespaceResponse(namespace=messages.namespace(_figures(store, space)))


def _delete_namespace(store: Store, errand: Errand) -> Message:
    request = pb.DeleteNamespaceRequest.FromString(errand.request)
    space, now = Space(errand.tenant, request.namespace), time.time()
    return pb.DeleteNamespaceResponse(deleted=store.delete(space, None, None, now))


def _get(store: Store, errand: Errand) -> Message:
    request = pb.GetDocumentsRequest.FromString(errand.request)
    space = Space(errand.tenant, request.namespace)
    there = store.get(space, list(request.ids), request.with_vector, time.time())
    if not there:
        must_be_there(store, space)
    return pb.GetDocumentsResponse(documents=there)


def _list(store: Store, errand: Errand) -> Message:
    request = pb.ListDocumentsRequest.FromString(errand.request)
    space, size = Space(errand.tenant, request.namespace), request.page_size or PAGE
    passing = filters.read(request.filter) if request.HasField("filter") else None
    page = store.page(space, messages.after(request.page_token), size + 1, passing, time.time())
    if not page:
        must_be_there(store, space)
    token = messages.page_token(page[size - 1].id) if len(page) > size else ""
    return pb.ListDocumentsResponse(documents=page[:size], next_page_token=token)


def _get_namespace(store: Store, errand: Errand) -> Message:
    request = pb.GetNamespaceRequest.FromString(errand.request)
    return pb.GetNamespaceResponse(
        namespace=messages.namespace(_figures(store, Space(errand.tenant, request.namespace)))
    )


def _list_namespaces(store: Store, errand: Errand) -> Message:
    now = time.time()
    figures = [store.figures(Space(errand.tenant, name), now) for name in store.names(errand.tenant)]
    # One may have gone meanwhile.
    return pb.ListNamespacesResponse(namespaces=[messages.namespace(each) for each in figures if each])


def _figures(store: Store, space: Space) -> Figures:
    figures = store.figures(space, time.time())
    if figures is None:
        raise NamespaceNotFound(space.name)
    return figures


READS: dict[str, Callable[[Store, Errand], Message]] = {
    "GetDocuments": _get,
    "ListDocuments": _list,
    "GetNamespace": _get_namespace,
    "ListNamespaces": _list_namespaces,
}
CHANGES: dict[str, Callable[[Store, Errand], Message]] = {
    "DeleteDocuments": _delete,
    "SetNamespace": _set_namespace,
    "DeleteNamespace": _delete_namespace,
}
