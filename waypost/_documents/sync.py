"""The methods of `waypost.Client` that are about documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Unpack

from waypost._documents import calls
from waypost._documents.requests import (
    DeleteOptions,
    Documents,
    GetOptions,
    ListOptions,
    NamespaceOptions,
    Queries,
    QueryOptions,
    UpsertOptions,
    upsert_stream,
)
from waypost._sync import Guarded, SyncClient
from waypost.documents import Document, Namespace, QueryResults, Upserted


class DocumentCalls(SyncClient):
    """Calls of the retriever."""

    def upsert(
        self, documents: Documents, *, timeout: float | None = None, **options: Unpack[UpsertOptions]
    ) -> Upserted:
        """Stores documents, given as `Document` or as dicts with the same keys; those of the same id are replaced."""
        return self._unary(calls.upsert(documents, **options), timeout)

    def upsert_stream(
        self, batches: Iterable[Documents], *, timeout: float | None = None, **options: Unpack[UpsertOptions]
    ) -> Iterator[Upserted]:
        """One result per batch, in order, as soon as it is kept; the deadline is that of the whole stream."""
        requests = Guarded(batches, lambda documents: upsert_stream(documents, **options))
        with self._stream(calls.UPSERT_STREAM, self._channel.stream_stream, iter(requests), timeout) as results:
            yield from results
        requests.raise_error()

    def query(self, queries: Queries, *, timeout: float | None = None, **options: Unpack[QueryOptions]) -> QueryResults:
        """Finds documents: for one text, vector or `DocumentQuery`, or for each of a list of them."""
        return self._unary(calls.query(queries, **options), timeout)

    def get(
        self, ids: Sequence[str], *, timeout: float | None = None, **options: Unpack[GetOptions]
    ) -> tuple[Document, ...]:
        """Documents by id, in this order; those that are not there are left out."""
        return self._unary(calls.get(ids, **options), timeout)

    def documents(
        self, namespace: str, *, timeout: float | None = None, **options: Unpack[ListOptions]
    ) -> Iterator[Document]:
        """All documents in the order of their ids, fetched page by page; the deadline is that of each page."""
        page = self._unary(calls.page(namespace, "", **options), timeout)
        yield from page.documents
        while page.next_page_token:
            page = self._unary(calls.page(namespace, page.next_page_token, **options), timeout)
            yield from page.documents

    def delete(
        self, ids: Sequence[str] | None = None, *, timeout: float | None = None, **options: Unpack[DeleteOptions]
    ) -> int:
        """Removes documents by id, or those that `filter` lets through; returns how many."""
        return self._unary(calls.delete(ids, **options), timeout)

    def set_namespace(
        self,
        namespace: str,
        *,
        retention: float | None = None,
        timeout: float | None = None,
        **options: Unpack[NamespaceOptions],
    ) -> Namespace:
        """Makes a namespace, or changes how many seconds it keeps its documents; None: for good."""
        return self._unary(calls.set_namespace(namespace, retention, **options), timeout)

    def namespace(
        self, namespace: str, *, timeout: float | None = None, **options: Unpack[NamespaceOptions]
    ) -> Namespace:
        """A namespace and what is in it."""
        return self._unary(calls.namespace(namespace, **options), timeout)

    def namespaces(self, *, timeout: float | None = None, **options: Unpack[NamespaceOptions]) -> tuple[Namespace, ...]:
        """The caller's namespaces by name."""
        return self._unary(calls.namespaces(**options), timeout)

    def delete_namespace(
        self, namespace: str, *, timeout: float | None = None, **options: Unpack[NamespaceOptions]
    ) -> int:
        """Removes a namespace with all that is in it; returns how many documents that were."""
        return self._unary(calls.delete_namespace(namespace, **options), timeout)
