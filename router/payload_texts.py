"""Messages as JSON, with every text as its tenant will have it kept.

What is a text is not listed, but what is none: a field that the contract gets tomorrow is treated as one until somebody
says otherwise.  Vectors are told by their bytes, probabilities of tokens by their number, since tokens are the text.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from collections.abc import Callable
from typing import Any

from google.protobuf import duration_pb2, json_format, struct_pb2, timestamp_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from waypost._core import redact

Json = Any
Kept = Callable[[str], Json]
"""What is kept of a text."""

NAMES = {
    f"waypost.v1.{name}"
    for name in (
        "CountTokensRequest.model",
        "ClassifyRequest.head",
        "ClassifyRequest.model",
        "ClassifyResponse.head",
        "ChatMessage.role",
        "ChatMessage.tool_call_id",
        "DeleteDocumentsRequest.model",
        "DeleteDocumentsRequest.namespace",
        "DeleteNamespaceRequest.model",
        "DeleteNamespaceRequest.namespace",
        "EmbedRequest.model",
        "GenerateRequest.adapter",
        "GenerateRequest.model",
        "GenerateServiceCountTokensRequest.model",
        "GetDocumentsRequest.model",
        "GetDocumentsRequest.namespace",
        "GetNamespaceRequest.model",
        "GetNamespaceRequest.namespace",
        "LabelScore.label",
        "ListDocumentsRequest.model",
        "ListDocumentsRequest.namespace",
        "ListNamespacesRequest.model",
        "Namespace.index",
        "Namespace.name",
        "QueryDocumentsRequest.model",
        "QueryDocumentsRequest.namespace",
        "RerankRequest.model",
        "RerankResponse.method",
        "RouteHints.optional_tags",
        "RouteHints.required_tags",
        "RouteHints.tenant",
        "ServedBy.instance",
        "ServedBy.model",
        "ServedBy.version",
        "SetNamespaceRequest.model",
        "SetNamespaceRequest.namespace",
        "Tool.name",
        "ToolCall.id",
        "ToolCall.name",
        "UpsertDocumentsRequest.model",
        "UpsertDocumentsRequest.namespace",
    )
}
"""Fields of names, which are kept as they are where they look like one."""
COUNTED = {"waypost.v1.GenerateResponse.logprobs", "waypost.v1.Sampling.logit_bias", "waypost.v1.Vector.values"}
"""Fields of tokens and of vectors, of which the number is kept."""
HELD_BACK = 256
"""Characters at the end of a text that was cut: the beginning of an address has no form yet."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@/:-]{0,127}")


class Told:
    """One direction of a call as JSON.

    Args:
        keep: what is kept of a text.
        names: whether names that look like something else are texts, too.
        room: bytes of texts; what is beyond is left out.
    """

    def __init__(self, keep: Kept, *, names: bool, room: int) -> None:
        self._keep, self._names, self._room = keep, names, room
        self.cut = False

    def message(self, message: Message) -> dict[str, Json]:
        """Its fields."""
        return {field.name: self._field(field, value) for field, value in message.ListFields()}

    def _field(self, field: FieldDescriptor, value: Any) -> Json:
        if field.full_name in COUNTED:
            return len(value)
        return [self._one(field, each) for each in value] if field.is_repeated else self._one(field, value)

    def _one(self, field: FieldDescriptor, value: Any) -> Json:
        if field.enum_type:
            known = field.enum_type.values_by_number.get(value)
            return known.name if known else value
        if isinstance(value, str):
            return self._name(value) if field.full_name in NAMES else self._text(value)
        if isinstance(value, bytes):
            return {"bytes": len(value)}
        if isinstance(value, Message):
            return self._inner(value)
        return value if not isinstance(value, float) or math.isfinite(value) else str(value)

    def _inner(self, value: Message) -> Json:
        if isinstance(value, duration_pb2.Duration):
            return value.ToTimedelta().total_seconds()
        if isinstance(value, timestamp_pb2.Timestamp):
            return value.ToJsonString()
        if isinstance(value, (struct_pb2.Struct, struct_pb2.Value, struct_pb2.ListValue)):
            return self._text(json.dumps(json_format.MessageToDict(value), ensure_ascii=False))
        return self.message(value)

    def _name(self, name: str) -> Json:
        is_one = _NAME.fullmatch(name) and not redact(name)[1]
        return name if is_one or not self._names else self._text(name)

    def _text(self, text: str) -> Json:
        kept = self._keep(text)
        if not isinstance(kept, str):
            return kept
        encoded = kept.encode()
        fitting = encoded[: self._room].decode(errors="ignore")
        self.cut = self.cut or len(encoded) > self._room
        self._room -= len(fitting.encode())
        return fitting


def as_it_is(text: str) -> str:
    """Mode "full"."""
    return text


def redacted(text: str) -> str:
    """Mode "redacted".  JSON is looked at as what it says: an escape hides nothing."""
    if text.lstrip()[:1] in ("{", "["):
        text = _redacted_json(text)
    return redact(text)[0]


def redacted_beginning(text: str) -> str:
    """The same of a text whose end is missing."""
    return redacted(text)[:-HELD_BACK]


def _redacted_json(text: str) -> str:
    try:
        said = json.dumps(_leaves(json.loads(text)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
    # Half of a surrogate pair, which JSON may name, is no text.
    return said.encode(errors="replace").decode()


def _leaves(value: Json) -> Json:
    if isinstance(value, dict):
        return {str(_leaves(key)): _leaves(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_leaves(each) for each in value]
    if isinstance(value, str):
        return redact(value.encode(errors="replace").decode())[0]
    if isinstance(value, int) and not isinstance(value, bool):
        left, found = redact(str(value))
        return left if found else value
    return value


def hashed(key: bytes) -> Kept:
    """Mode "hash": equal texts are recognised, but who has no key cannot guess one."""

    def keep(text: str) -> dict[str, Json]:
        encoded = text.encode()
        return {"sha256": hmac.new(key, encoded, hashlib.sha256).hexdigest(), "bytes": len(encoded)}

    return keep
