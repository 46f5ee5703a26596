"""Replies of the retriever as the dataclasses of `waypost.documents`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from typing import Any

import numpy as np
from google.protobuf.message import Message

from waypost._documents import metadata
from waypost._replies import seconds, served, timings
from waypost.documents import Document, DocumentPage, Namespace, QueryResults, ScoredDocument, Snippet, Upserted
from waypost.v1 import retrieve_pb2


def upserted(reply: retrieve_pb2.UpsertDocumentsResponse) -> Upserted:
    return Upserted(served(reply.served), timings(reply.timings), reply.added, reply.replaced)


def streamed_upserted(reply: retrieve_pb2.UpsertDocumentsStreamResponse) -> Upserted:
    return upserted(reply.response)


def results(reply: retrieve_pb2.QueryDocumentsResponse) -> QueryResults:
    found = tuple(tuple(map(_scored, each.documents)) for each in reply.results)
    return QueryResults(served(reply.served), timings(reply.timings), found)


def documents(reply: retrieve_pb2.GetDocumentsResponse) -> tuple[Document, ...]:
    return _documents(reply.documents)


def page(reply: retrieve_pb2.ListDocumentsResponse) -> DocumentPage:
    return DocumentPage(served(reply.served), _documents(reply.documents), reply.next_page_token)


def deleted(reply: retrieve_pb2.DeleteDocumentsResponse | retrieve_pb2.DeleteNamespaceResponse) -> int:
    return reply.deleted


def namespace(reply: retrieve_pb2.GetNamespaceResponse | retrieve_pb2.SetNamespaceResponse) -> Namespace:
    return _namespace(reply.namespace)


def namespaces(reply: retrieve_pb2.ListNamespacesResponse) -> tuple[Namespace, ...]:
    return tuple(map(_namespace, reply.namespaces))


def _scored(found: retrieve_pb2.ScoredDocument) -> ScoredDocument:
    return ScoredDocument(
        _document(found.document),
        found.score,
        _optional(found, "cosine"),
        _optional(found, "bm25"),
        _optional(found, "rerank"),
        tuple(Snippet(each.text, each.start, each.end) for each in found.snippets),
    )


def _documents(found: Iterable[retrieve_pb2.Document]) -> tuple[Document, ...]:
    return tuple(map(_document, found))


def _document(found: retrieve_pb2.Document) -> Document:
    values = found.vector.values
    return Document(
        found.id,
        found.text,
        metadata.plain(found.metadata),
        np.fromiter(values, np.float32, len(values)) if found.HasField("vector") else None,
        found.expires.ToDatetime(UTC) if found.HasField("expires") else None,
    )


def _namespace(found: retrieve_pb2.Namespace) -> Namespace:
    return Namespace(
        found.name,
        seconds(found.retention) if found.HasField("retention") else None,
        found.documents,
        found.dimensions,
        found.disk_bytes,
        found.memory_bytes,
        found.index,
        found.unindexed,
    )


def _optional(message: Message, field: str) -> Any:
    return getattr(message, field) if message.HasField(field) else None
