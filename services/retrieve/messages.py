"""Documents between the contract's messages and the store's types."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from services.refusal import InvalidField
from services.retrieve.store import Entry, Figures, Vectors
from waypost.v1 import retrieve_pb2 as pb


def entries(request: pb.UpsertDocumentsRequest, vectors: Vectors | None, now: float) -> list[Entry]:
    """The documents of a request, with their rows of `vectors`."""
    until = now + request.ttl.ToTimedelta().total_seconds() if request.HasField("ttl") else None
    return [
        Entry(
            each.id,
            each.text,
            json_format.MessageToDict(each.metadata),
            None if vectors is None else vectors[row],
            _seconds(each.expires) if each.HasField("expires") else until,
        )
        for row, each in enumerate(request.documents)
    ]


def document(
    id: str, text: str, metadata: dict[str, Any], expires: float | None, vector: Iterable[float] | None = None
) -> pb.Document:
    """As it is returned."""
    told = pb.Document(id=id, text=text)
    if metadata:
        told.metadata.update(metadata)
    if vector is not None:
        told.vector.values.extend(vector)
    if expires is not None:
        told.expires.FromDatetime(datetime.fromtimestamp(expires, UTC))
    return told


def namespace(figures: Figures) -> pb.Namespace:
    """As it is returned."""
    told = pb.Namespace(
        name=figures.name,
        documents=figures.documents,
        dimensions=figures.dimensions,
        disk_bytes=figures.disk_bytes,
        memory_bytes=figures.memory_bytes,
        index=figures.index,
        unindexed=figures.unindexed,
    )
    if figures.retention is not None:
        told.retention.FromMilliseconds(round(figures.retention * 1000))
    return told


def page_token(last: str) -> str:
    """Of the page after the document `last`."""
    return base64.urlsafe_b64encode(last.encode()).decode()


def after(token: str) -> str:
    """The last document before the page.

    Raises:
        InvalidField: it is no token of ours.
    """
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise InvalidField("page_token", repr(token), "the next_page_token of the page before") from None


def _seconds(time: Timestamp) -> float:
    return time.seconds + time.nanos / 1e9
