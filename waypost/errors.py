"""What a call raises, by who must act.

`CallerError`: change the call.  `RetryableError`: the same call may succeed later, `retry_after` says when.
`ServerError`: somebody must look at the server.  The classes are read from the status code and the
`google.rpc.ErrorInfo` reason (`waypost.v1.ErrorReason`) of the reply; checks made before a call is sent raise the same
classes, so one `except` covers both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from waypost._trailers import routing
from waypost.results import Routing

Code = grpc.StatusCode

_DETAILS_KEY = "grpc-status-details-bin"


class WaypostError(Exception):
    """A call failed.

    Attributes:
        code: gRPC status code.
        reason: name of a value of `waypost.v1.ErrorReason`; empty where the failure is not Waypost's own (the network).
        field: path of the offending field, such as `texts[3]`; empty where no field is to blame.
        retry_after: seconds until the same call is worth another try; None where the server did not say.
        metadata: the reason's own figures, such as `limit` and `actual`.
        routing: what the router says of the call, its `request_id` above all.
    """

    def __init__(
        self,
        message: str,
        *,
        code: Code = Code.UNKNOWN,
        reason: str = "",
        field: str = "",
        retry_after: float | None = None,
        metadata: Mapping[str, str] | None = None,
        routing: Routing | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.field = field
        self.retry_after = retry_after
        self.metadata = dict(metadata or {})
        self.routing = routing or Routing()


class CallerError(WaypostError):
    """The call cannot succeed as it is."""


class InvalidRequest(CallerError):
    """A field's value is not acceptable: `field` and the message say which and why."""


class NotFound(CallerError):
    """No such model, head, adapter, health service, answer or rollout; `Client.models()` lists the models."""


class NotCapable(CallerError):
    """The model exists but does not do this, or no instance carries the required tags."""


class Unloaded(NotCapable):
    """An operator took the model out of service: name another, or ask them."""


class QuotaExceeded(CallerError):
    """The caller's quota or budget is spent; with `retry_after`, it is only the rate."""


class Denied(CallerError):
    """The server does not know the caller, or does not allow the call: the key is wrong, over, or of too low a role."""


class Blocked(Denied):
    """The guard takes the text for what the tenant's policy blocks."""


class Conflict(CallerError):
    """Somebody else changed it meanwhile: read it again, then decide again."""


class Cancelled(CallerError):
    """The caller cancelled the call."""


class RetryableError(WaypostError):
    """Nothing is wrong with the call: try it again, not before `retry_after`."""


class Unavailable(RetryableError):
    """No instance can take the call now, the connection broke, or a hosted model's provider failed."""


class Overloaded(RetryableError):
    """The queue is full, or a hosted model's provider limits the rate."""


class DeadlineExceeded(RetryableError):
    """The deadline passed before the answer came."""


class ServerError(WaypostError):
    """The server is at fault."""


class ModelFailed(ServerError):
    """The model failed on this input."""


class NotImplementedByServer(ServerError):
    """The contract has this call, the server's build does not answer it."""


ERRORS: dict[tuple[Code, str], type[WaypostError]] = {
    (Code.INVALID_ARGUMENT, ""): InvalidRequest,
    (Code.OUT_OF_RANGE, ""): InvalidRequest,
    (Code.RESOURCE_EXHAUSTED, "ERROR_REASON_MESSAGE_TOO_LARGE"): InvalidRequest,
    (Code.NOT_FOUND, ""): NotFound,
    (Code.FAILED_PRECONDITION, ""): NotCapable,
    (Code.FAILED_PRECONDITION, "ERROR_REASON_MODEL_UNLOADED"): Unloaded,
    (Code.RESOURCE_EXHAUSTED, "ERROR_REASON_QUOTA_EXCEEDED"): QuotaExceeded,
    (Code.UNAUTHENTICATED, ""): Denied,
    (Code.PERMISSION_DENIED, ""): Denied,
    (Code.PERMISSION_DENIED, "ERROR_REASON_BLOCKED"): Blocked,
    (Code.ABORTED, "ERROR_REASON_CHANGED_MEANWHILE"): Conflict,
    (Code.CANCELLED, ""): Cancelled,
    (Code.UNAVAILABLE, ""): Unavailable,
    (Code.ABORTED, ""): Unavailable,
    (Code.RESOURCE_EXHAUSTED, ""): Overloaded,
    (Code.DEADLINE_EXCEEDED, ""): DeadlineExceeded,
    (Code.INTERNAL, "ERROR_REASON_MODEL_FAILED"): ModelFailed,
    (Code.UNIMPLEMENTED, ""): NotImplementedByServer,
}
"""Code and reason to class: the row with the reason counts before the row of the code; others are `ServerError`."""


class _FailedCall(Protocol):
    def code(self) -> Code: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Any: ...


def from_rpc(call: _FailedCall) -> WaypostError:
    """The typed error of a failed grpcio call, synchronous or asyncio."""
    trailers = call.trailing_metadata() or ()
    details = _Details.of(trailers)
    code = call.code()
    cls = ERRORS.get((code, details.reason)) or ERRORS.get((code, ""), ServerError)
    return cls(
        call.details() or code.name,
        code=code,
        reason=details.reason,
        field=details.field,
        retry_after=details.retry_after,
        metadata=details.metadata,
        routing=routing(trailers),
    )


@dataclasses.dataclass
class _Details:
    """What the status details of one reply say."""

    reason: str = ""
    field: str = ""
    retry_after: float | None = None
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, trailers: Iterable[tuple[str, Any]]) -> _Details:
        found = cls()
        for packed in _packed(trailers):
            found._read(packed)
        return found

    def _read(self, packed: Any) -> None:
        if info := _unpacked(packed, error_details_pb2.ErrorInfo):
            self.reason, self.metadata = info.reason, dict(info.metadata)
        elif bad := _unpacked(packed, error_details_pb2.BadRequest):
            self.field = ", ".join(violation.field for violation in bad.field_violations)
        elif retry := _unpacked(packed, error_details_pb2.RetryInfo):
            self.retry_after = retry.retry_delay.ToTimedelta().total_seconds()


def _packed(trailers: Iterable[tuple[str, Any]]) -> Any:
    encoded = next((value for key, value in trailers if key == _DETAILS_KEY), b"")
    try:
        return status_pb2.Status.FromString(encoded).details
    except DecodeError:  # a proxy's own idea of the header must not hide the failure itself
        return ()


def _unpacked(packed: Any, kind: type[Message]) -> Any:
    message = kind()
    return message if packed.Unpack(message) else None
