"""The methods of `waypost.AsyncClient` that are about documents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Unpack

from waypost._async import AsyncGuarded, AsyncioClient, Batches
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
from waypost.documents import Document, Namespace, QueryResults, Upserted


class AsyncDocumentCalls(AsyncioClient):
    """Calls of the retriever."""

    async def upsert(
        self, documents: Documents, *, timeout: float | None = None, **options: Unpack[UpsertOptions]
    ) -> Upserted:
        """Stores documents, given as `Document` or as dicts with the same keys; those of the same id are replaced."""
        return await self._unary(calls.upsert(documents, **options), timeout)

    async def upsert_stream(
        self, batches: Batches[Documents], *, timeout: float | None = None, **options: Unpack[UpsertOptions]
    ) -> AsyncIterator[Upserted]:
        """One result per batch, in order, as soon as it is kept; the deadline is that of the whole stream."""
        requests = AsyncGuarded(batches, lambda documents: upsert_stream(documents, **options))
        async with self._stream(calls.UPSERT_STREAM, self._channel.stream_stream, aiter(requests), timeout) as results:
            async for result in results:
                yield result
        requests.raise_error()

    async def query(
        self, queries: Queries, *, timeout: float | None = None, **options: Unpack[QueryOptions]
    ) -> QueryResults:
        """Finds documents: for one text, vector or `DocumentQuery`, or for each of a list of them."""
        return await self._unary(calls.query(queries, **options), timeout)

    async def get(
        self, ids: Sequence[str], *, timeout: float | None = None, **options: Unpack[GetOptions]
    ) -> tuple[Document, ...]:
        """Documents by id, in this order; those that are not there are left out."""
        return await self._unary(calls.get(ids, **options), timeout)

    async def documents(
        self, namespace: str, *, timeout: float | None = None, **options: Unpack[ListOptions]
    ) -> AsyncIterator[Document]:
        """All documents in the order of their ids, fetched page by page; the deadline is that of each page."""
        page = await self._unary(calls.page(namespace, "", **options), timeout)
        for document in page.documents:
            yield document
        while page.next_page_token:
            page = await self._unary(calls.page(namespace, page.next_page_token, **options), timeout)
            for document in page.documents:
                yield document

    async def delete(
        self, ids: Sequence[str] | None = None, *, timeout: float | None = None, **options: Unpack[DeleteOptions]
    ) -> int:
        """Removes documents by id, or those that `filter` lets through; returns how many."""
        return await self._unary(calls.delete(ids, **options), timeout)

    async def set_namespace(
        self,
        namespace: str,
        *,
        retention: float | None = None,
        timeout: float | None = None,
        **options: Unpack[NamespaceOptions],
    ) -> Namespace:
        """Makes a namespace, or changes how many seconds it keeps its documents; None: for good."""
        return await self._unary(calls.set_namespace(namespace, retention, **options), timeout)

    async def namespace(
        self, namespace: str, *, timeout: float | None = None, **options: Unpack[NamespaceOptions]
    ) -> Namespace:
        """A namespace and what is in it."""
        return await self._unary(calls.namespace(namespace, **options), timeout)

    async def namespaces(
        self, *, timeout: float | None = None, **options: Unpack[NamespaceOptions]
    ) -> tuple[Namespace, ...]:
        """The caller's namespaces by name."""
        return await self._unary(calls.namespaces(**options), timeout)

    async def delete_namespace(
        self, namespace: str, *, timeout: float | None = None, **options: Unpack[NamespaceOptions]
    ) -> int:
        """Removes a namespace with all that is in it; returns how many documents that were."""
        return await self._unary(calls.delete_namespace(namespace, **options), timeout)
