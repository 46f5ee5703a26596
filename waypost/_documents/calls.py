"""The rpcs of the retriever as values, as `waypost._calls` has the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from waypost._calls import Call, Rpc
from waypost._documents import replies, requests
from waypost._documents.requests import (
    DeleteOptions,
    Documents,
    GetOptions,
    ListOptions,
    NamespaceOptions,
    Queries,
    QueryOptions,
    UpsertOptions,
)
from waypost.documents import Document, DocumentPage, Namespace, QueryResults, Upserted
from waypost.v1 import retrieve_pb2

_SERVICE = "/waypost.v1.RetrieveService"

UPSERT = Rpc(f"{_SERVICE}/UpsertDocuments", retrieve_pb2.UpsertDocumentsResponse, replies.upserted)
UPSERT_STREAM = Rpc(
    f"{_SERVICE}/UpsertDocumentsStream", retrieve_pb2.UpsertDocumentsStreamResponse, replies.streamed_upserted
)
QUERY = Rpc(f"{_SERVICE}/QueryDocuments", retrieve_pb2.QueryDocumentsResponse, replies.results)
GET = Rpc(f"{_SERVICE}/GetDocuments", retrieve_pb2.GetDocumentsResponse, replies.documents)
LIST = Rpc(f"{_SERVICE}/ListDocuments", retrieve_pb2.ListDocumentsResponse, replies.page)
DELETE = Rpc(f"{_SERVICE}/DeleteDocuments", retrieve_pb2.DeleteDocumentsResponse, replies.deleted)
SET_NAMESPACE = Rpc(f"{_SERVICE}/SetNamespace", retrieve_pb2.SetNamespaceResponse, replies.namespace)
GET_NAMESPACE = Rpc(f"{_SERVICE}/GetNamespace", retrieve_pb2.GetNamespaceResponse, replies.namespace)
LIST_NAMESPACES = Rpc(f"{_SERVICE}/ListNamespaces", retrieve_pb2.ListNamespacesResponse, replies.namespaces)
DELETE_NAMESPACE = Rpc(f"{_SERVICE}/DeleteNamespace", retrieve_pb2.DeleteNamespaceResponse, replies.deleted)


def upsert(documents: Documents, **options: Unpack[UpsertOptions]) -> Call[Upserted]:
    return Call(UPSERT, requests.upsert(documents, **options))


def query(queries: Queries, **options: Unpack[QueryOptions]) -> Call[QueryResults]:
    return Call(QUERY, requests.query(queries, **options))


def get(ids: Sequence[str], **options: Unpack[GetOptions]) -> Call[tuple[Document, ...]]:
    return Call(GET, requests.get(ids, **options))


def page(namespace: str, token: str, **options: Unpack[ListOptions]) -> Call[DocumentPage]:
    return Call(LIST, requests.page(namespace, token, **options))


def delete(ids: Sequence[str] | None, **options: Unpack[DeleteOptions]) -> Call[int]:
    return Call(DELETE, requests.delete(ids, **options))


def set_namespace(name: str, retention: float | None, **options: Unpack[NamespaceOptions]) -> Call[Namespace]:
    return Call(SET_NAMESPACE, requests.set_namespace(name, retention, **options))


def namespace(name: str, **options: Unpack[NamespaceOptions]) -> Call[Namespace]:
    return Call(GET_NAMESPACE, requests.get_namespace(name, **options))


def namespaces(**options: Unpack[NamespaceOptions]) -> Call[tuple[Namespace, ...]]:
    return Call(LIST_NAMESPACES, requests.list_namespaces(**options))


def delete_namespace(name: str, **options: Unpack[NamespaceOptions]) -> Call[int]:
    return Call(DELETE_NAMESPACE, requests.delete_namespace(name, **options))
