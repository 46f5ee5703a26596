"""Protobuf requests of the retriever from plain Python values.

The options are the keyword arguments of the clients' methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

import numpy as np

from waypost import _fields as fields
from waypost._documents import filters, metadata
from waypost._documents.filters import Given
from waypost._requests import Route, route, truncation
from waypost.documents import Document, DocumentQuery, Vector
from waypost.v1 import retrieve_pb2

Documents = Sequence[Document | Mapping[str, Any]]
Queries = str | Vector | DocumentQuery | Sequence[str | Vector | DocumentQuery]


class NamespaceOptions(Route, total=False):
    """Keyword arguments of calls about namespaces.

    model: a retriever by name; empty: the only one, or any.
    """

    model: str


class _In(TypedDict):
    namespace: str


class UpsertOptions(_In, NamespaceOptions, total=False):
    """Keyword arguments of `upsert` and `upsert_stream`.

    ttl: seconds until documents are forgotten that say nothing themselves; None: the namespace's retention counts.
    truncate: embed the beginning of texts longer than the encoder reads, instead of refusing the call; they are kept
        and found by words whole.
    """

    ttl: float | None
    truncate: bool


class QueryOptions(_In, NamespaceOptions, total=False):
    """Keyword arguments of `query`.

    top_k: most documents of a result; 0: 10.
    mode: "dense" (by the cosine), "bm25" (by words) or "hybrid" (both, fused), which is the default.
    filter: only documents it lets through are found, such as {"lang": "en", "year": {">=": 2020}}; see
        docs/retrieval.md for all of them.
    rerank: have the best read again by the reranker, which decides their order.
    snippets: passages of each text that suit the query best.
    truncate: embed the beginning of queries longer than the encoder reads, instead of refusing the call.
    without_text: leave the texts out.
    with_vector: put the vectors in.
    """

    top_k: int
    mode: str
    filter: Given | None
    rerank: bool
    snippets: int
    truncate: bool
    without_text: bool
    with_vector: bool


class GetOptions(_In, NamespaceOptions, total=False):
    """Keyword arguments of `get`."""

    with_vector: bool


class ListOptions(NamespaceOptions, total=False):
    """Keyword arguments of `documents`; `filter` is that of `query`, a `page_size` of 0 is 100."""

    filter: Given | None
    page_size: int


class DeleteOptions(_In, NamespaceOptions, total=False):
    """Keyword arguments of `delete`; `filter` is that of `query`."""

    filter: Given | None


def upsert(
    documents: Documents,
    *,
    namespace: str,
    model: str = "",
    ttl: float | None = None,
    truncate: bool = False,
    **hints: Unpack[Route],
) -> retrieve_pb2.UpsertDocumentsRequest:
    given = enumerate(fields.many("documents", documents, "documents"))
    return retrieve_pb2.UpsertDocumentsRequest(
        model=fields.text("model", model),
        route=route(**hints),
        namespace=fields.text("namespace", namespace),
        documents=[_document(f"documents[{i}]", each) for i, each in given],
        ttl=None if ttl is None else fields.duration("ttl", ttl),
        truncation=truncation(truncate),
    )


def upsert_stream(documents: Documents, **options: Unpack[UpsertOptions]) -> retrieve_pb2.UpsertDocumentsStreamRequest:
    return retrieve_pb2.UpsertDocumentsStreamRequest(request=upsert(documents, **options))


def query(
    queries: Queries,
    *,
    namespace: str,
    model: str = "",
    top_k: int = 0,
    mode: str = "",
    filter: Given | None = None,
    rerank: bool = False,
    snippets: int = 0,
    truncate: bool = False,
    without_text: bool = False,
    with_vector: bool = False,
    **hints: Unpack[Route],
) -> retrieve_pb2.QueryDocumentsRequest:
    return retrieve_pb2.QueryDocumentsRequest(
        model=fields.text("model", model),
        route=route(**hints),
        namespace=fields.text("namespace", namespace),
        queries=_queries(queries),
        top_k=fields.count("top_k", top_k),
        mode=fields.enum("mode", retrieve_pb2.QueryMode, mode),
        filter=filters.built(filter),
        rerank=fields.flag("rerank", rerank),
        snippets=fields.count("snippets", snippets),
        without_text=fields.flag("without_text", without_text),
        with_vector=fields.flag("with_vector", with_vector),
        truncation=truncation(truncate),
    )


def get(
    ids: Sequence[str], *, namespace: str, model: str = "", with_vector: bool = False, **hints: Unpack[Route]
) -> retrieve_pb2.GetDocumentsRequest:
    return retrieve_pb2.GetDocumentsRequest(
        model=fields.text("model", model),
        route=route(**hints),
        namespace=fields.text("namespace", namespace),
        ids=fields.texts("ids", ids),
        with_vector=fields.flag("with_vector", with_vector),
    )


def page(
    namespace: str,
    token: str,
    *,
    model: str = "",
    filter: Given | None = None,
    page_size: int = 0,
    **hints: Unpack[Route],
) -> retrieve_pb2.ListDocumentsRequest:
    return retrieve_pb2.ListDocumentsRequest(
        model=fields.text("model", model),
        route=route(**hints),
        namespace=fields.text("namespace", namespace),
        filter=filters.built(filter),
        page_size=fields.count("page_size", page_size),
        page_token=token,
    )


def delete(
    ids: Sequence[str] | None,
    *,
    namespace: str,
    model: str = "",
    filter: Given | None = None,
    **hints: Unpack[Route],
) -> retrieve_pb2.DeleteDocumentsRequest:
    return retrieve_pb2.DeleteDocumentsRequest(
        model=fields.text("model", model),
        route=route(**hints),
        namespace=fields.text("namespace", namespace),
        ids=() if ids is None else fields.texts("ids", ids),
        filter=filters.built(filter),
    )


def set_namespace(
    namespace: str, retention: float | None, *, model: str = "", **hints: Unpack[Route]
) -> retrieve_pb2.SetNamespaceRequest:
    return retrieve_pb2.SetNamespaceRequest(
        model=fields.text("model", model),
        route=route(**hints),
        namespace=fields.text("namespace", namespace),
        retention=None if retention is None else fields.duration("retention", retention),
    )


def get_namespace(namespace: str, *, model: str = "", **hints: Unpack[Route]) -> retrieve_pb2.GetNamespaceRequest:
    return retrieve_pb2.GetNamespaceRequest(
        model=fields.text("model", model), route=route(**hints), namespace=fields.text("namespace", namespace)
    )


def list_namespaces(*, model: str = "", **hints: Unpack[Route]) -> retrieve_pb2.ListNamespacesRequest:
    return retrieve_pb2.ListNamespacesRequest(model=fields.text("model", model), route=route(**hints))


def delete_namespace(namespace: str, *, model: str = "", **hints: Unpack[Route]) -> retrieve_pb2.DeleteNamespaceRequest:
    return retrieve_pb2.DeleteNamespaceRequest(
        model=fields.text("model", model), route=route(**hints), namespace=fields.text("namespace", namespace)
    )


def _document(field: str, given: Document | Mapping[str, Any]) -> retrieve_pb2.Document:
    one = given if isinstance(given, Document) else _from_dict(field, given)
    return retrieve_pb2.Document(
        id=fields.text(f"{field}.id", one.id),
        text=fields.text(f"{field}.text", one.text),
        metadata=metadata.struct(f"{field}.metadata", one.metadata) if one.metadata else None,
        vector=_vector(f"{field}.vector", one.vector),
        expires=None if one.expires is None else fields.timestamp(f"{field}.expires", one.expires),
    )


def _from_dict(field: str, given: object) -> Document:
    return Document(**fields.table(field, given, {"id"}, {"text", "metadata", "vector", "expires"}))


def _queries(given: Queries) -> list[retrieve_pb2.DocumentQuery]:
    """One text, vector or `DocumentQuery` is a list of one; a list of numbers could be either, and is a list."""
    if isinstance(given, (str, DocumentQuery)) or (isinstance(given, np.ndarray) and given.ndim == 1):
        return [_query("queries[0]", given)]
    listed = list(given) if isinstance(given, np.ndarray) else fields.many("queries", given, "queries")
    return [_query(f"queries[{i}]", each) for i, each in enumerate(listed)]


def _query(field: str, given: object) -> retrieve_pb2.DocumentQuery:
    one = given if isinstance(given, DocumentQuery) else _only(field, given)
    text = fields.text(f"{field}.text", one.text)
    return retrieve_pb2.DocumentQuery(text=text, vector=_vector(f"{field}.vector", one.vector))


def _only(field: str, given: Any) -> DocumentQuery:
    if isinstance(given, str):
        return DocumentQuery(fields.text(field, given))
    if not isinstance(given, (Sequence, np.ndarray)):
        raise fields.invalid(field, f"is a {type(given).__name__}, not text, a vector or a DocumentQuery")
    return DocumentQuery(vector=given)


def _vector(field: str, values: Any) -> retrieve_pb2.Vector | None:
    if values is None:
        return None
    try:
        row = np.asarray(None if isinstance(values, str) else values, dtype=np.float32)
    except (TypeError, ValueError):
        row = np.empty((0, 0), dtype=np.float32)
    if row.ndim != 1:
        raise fields.invalid(field, "must be a list of numbers, or an array of one dimension", type(values).__name__)
    return retrieve_pb2.Vector(values=np.ascontiguousarray(row).data)
