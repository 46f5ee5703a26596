"""What a request is told that fails, in the shape that OpenAI's clients read.

One table turns the router's status and reason into HTTP's status and OpenAI's words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import grpc
from grpc.aio import AioRpcError
from typing_extensions import TypedDict

from waypost import errors
from waypost.errors import Code, WaypostError

Kind = Literal[
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "rate_limit_error",
    "insufficient_quota",
    "server_error",
]


class ErrorBody(TypedDict):
    """What went wrong, who must act, where in the request, and a word for programs."""

    message: str
    type: Kind
    param: str | None
    code: str | None


class ErrorReply(TypedDict):
    """The body of every reply that is no success."""

    error: ErrorBody


@dataclass
class Failure(Exception):
    """A request fails with this status."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    kind: Kind = "invalid_request_error"
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.message)

    def body(self) -> ErrorReply:
        """As it is sent."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


class ClientGone(Exception):
    """Nobody is there any more to be answered."""


def invalid(param: str, message: str, code: str = "invalid_value") -> Failure:
    """A field has a value that it cannot have."""
    return Failure(400, message, code, param)


@dataclass(frozen=True)
class Row:
    """What a status becomes; without a code, the reason is it."""

    status: int
    kind: Kind
    code: str | None = None


CALLER: Kind = "invalid_request_error"
SERVER: Kind = "server_error"

TABLE: dict[tuple[Code, str], Row] = {
    (Code.INVALID_ARGUMENT, ""): Row(400, CALLER, "invalid_value"),
    (Code.OUT_OF_RANGE, ""): Row(400, CALLER, "invalid_value"),
    (Code.INVALID_ARGUMENT, "TEXT_TOO_LONG"): Row(400, CALLER, "context_length_exceeded"),
    (Code.INVALID_ARGUMENT, "TEXT_TOO_LARGE"): Row(413, CALLER),
    (Code.FAILED_PRECONDITION, ""): Row(400, CALLER),
    (Code.UNAUTHENTICATED, ""): Row(401, "authentication_error", "invalid_api_key"),
    (Code.PERMISSION_DENIED, ""): Row(403, "permission_error"),
    (Code.PERMISSION_DENIED, "BLOCKED"): Row(403, "permission_error", "content_filter"),
    (Code.NOT_FOUND, ""): Row(404, CALLER),
    (Code.NOT_FOUND, "MODEL_NOT_FOUND"): Row(404, CALLER, "model_not_found"),
    (Code.ABORTED, ""): Row(409, CALLER),
    (Code.ALREADY_EXISTS, ""): Row(409, CALLER),
    (Code.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE"): Row(413, CALLER),
    (Code.RESOURCE_EXHAUSTED, ""): Row(429, "rate_limit_error", "rate_limit_exceeded"),
    (Code.RESOURCE_EXHAUSTED, "QUEUE_FULL"): Row(429, "rate_limit_error"),
    (Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED"): Row(429, "insufficient_quota", "insufficient_quota"),
    (Code.RESOURCE_EXHAUSTED, "STORE_FULL"): Row(507, SERVER),
    (Code.UNIMPLEMENTED, ""): Row(501, SERVER),
    (Code.UNAVAILABLE, ""): Row(503, SERVER),
    (Code.DEADLINE_EXCEEDED, ""): Row(504, SERVER, "timeout"),
    (Code.CANCELLED, ""): Row(503, SERVER, "cancelled"),
}
"""Status and reason to what HTTP says; the row with the reason counts before the row of the status, others are 500."""

OTHERWISE = Row(500, SERVER)
RATE = Row(429, "rate_limit_error", "rate_limit_exceeded")
"""A tenant's rate: QUOTA_EXCEEDED that says when to come back."""
RETRY_LATER = frozenset({429, 503})
USUAL_PAUSE_S = 1.0


def of_rpc(error: AioRpcError, names: Mapping[str, str]) -> Failure:
    """The failure that a call of the router's came to; `names` has what its fields are called in the request."""
    return _told(errors.from_rpc(error), names)


def _told(error: WaypostError, names: Mapping[str, str]) -> Failure:
    reason = error.reason.removeprefix("ERROR_REASON_")
    row = _row(error, reason)
    code = row.code or reason.lower() or error.code.name.lower()
    param = renamed(error.field, names) if error.field else _blamed(reason)
    return Failure(row.status, error.message, code, param, row.kind, _pause(row, error.retry_after))


def _row(error: WaypostError, reason: str) -> Row:
    if reason == "QUOTA_EXCEEDED" and error.code is Code.RESOURCE_EXHAUSTED and error.retry_after is not None:
        return RATE
    return TABLE.get((error.code, reason)) or TABLE.get((error.code, ""), OTHERWISE)


def _pause(row: Row, seconds: float | None) -> dict[str, str]:
    """Whoever comes back is told when; where money is spent, coming back is of no use."""
    if row.status not in RETRY_LATER or row.kind == "insufficient_quota":
        return {}
    return {"retry-after": str(max(1, math.ceil(USUAL_PAUSE_S if seconds is None else seconds)))}


BLAMED = {
    "MODEL_NOT_FOUND": "model",
    "MODEL_UNLOADED": "model",
    "MODEL_PINNED": "model",
    "LOAD_FAILED": "model",
    "HEAD_NOT_FOUND": "head",
    "INSTANCE_NOT_FOUND": "instance",
}


def _blamed(reason: str) -> str | None:
    """The field at fault where the reason says it."""
    return BLAMED.get(reason, "waypost.adapter" if reason == "ADAPTER_NOT_FOUND" else None)


def renamed(path: str, names: Mapping[str, str]) -> str:
    """A field of the contract as the request calls it: `texts[3]` is `input[3]`."""
    for ours, theirs in names.items():
        if path == ours or re.match(rf"{re.escape(ours)}[.\[]", path):
            return (theirs + path[len(ours) :]).removeprefix(".")
    return path


def of_code(code: grpc.StatusCode, message: str) -> Failure:
    """A failure without a call."""
    return _told(WaypostError(message, code=code), {})


def as_headers(of: Failure) -> Any:
    """Headers beside those of every reply."""
    return [(name.encode(), value.encode()) for name, value in of.headers.items()]
