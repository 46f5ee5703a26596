from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class ErrorReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_REASON_UNSPECIFIED: _ClassVar[ErrorReason]
    ERROR_REASON_EMPTY_INPUT: _ClassVar[ErrorReason]
    ERROR_REASON_TOO_MANY_INPUTS: _ClassVar[ErrorReason]
    ERROR_REASON_TEXT_TOO_LARGE: _ClassVar[ErrorReason]
    ERROR_REASON_TEXT_TOO_LONG: _ClassVar[ErrorReason]
    ERROR_REASON_INVALID_FIELD: _ClassVar[ErrorReason]
    ERROR_REASON_MALFORMED_REQUEST: _ClassVar[ErrorReason]
    ERROR_REASON_MODEL_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_HEAD_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_NOT_CAPABLE: _ClassVar[ErrorReason]
    ERROR_REASON_NO_INSTANCE: _ClassVar[ErrorReason]
    ERROR_REASON_QUEUE_FULL: _ClassVar[ErrorReason]
    ERROR_REASON_QUOTA_EXCEEDED: _ClassVar[ErrorReason]
    ERROR_REASON_DEADLINE: _ClassVar[ErrorReason]
    ERROR_REASON_DRAINING: _ClassVar[ErrorReason]
    ERROR_REASON_INSTANCE_LOST: _ClassVar[ErrorReason]
    ERROR_REASON_MODEL_FAILED: _ClassVar[ErrorReason]
    ERROR_REASON_NOT_IMPLEMENTED: _ClassVar[ErrorReason]
    ERROR_REASON_MESSAGE_TOO_LARGE: _ClassVar[ErrorReason]
    ERROR_REASON_ADAPTER_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_RATE_LIMITED: _ClassVar[ErrorReason]
    ERROR_REASON_PROVIDER_FAILED: _ClassVar[ErrorReason]
    ERROR_REASON_UNAUTHENTICATED: _ClassVar[ErrorReason]
    ERROR_REASON_BLOCKED: _ClassVar[ErrorReason]
    ERROR_REASON_CHANGED_MEANWHILE: _ClassVar[ErrorReason]
    ERROR_REASON_NOT_KNOWN: _ClassVar[ErrorReason]
    ERROR_REASON_PERMISSION_DENIED: _ClassVar[ErrorReason]
    ERROR_REASON_MODEL_UNLOADED: _ClassVar[ErrorReason]
ERROR_REASON_UNSPECIFIED: ErrorReason
ERROR_REASON_EMPTY_INPUT: ErrorReason
ERROR_REASON_TOO_MANY_INPUTS: ErrorReason
ERROR_REASON_TEXT_TOO_LARGE: ErrorReason
ERROR_REASON_TEXT_TOO_LONG: ErrorReason
ERROR_REASON_INVALID_FIELD: ErrorReason
ERROR_REASON_MALFORMED_REQUEST: ErrorReason
ERROR_REASON_MODEL_NOT_FOUND: ErrorReason
ERROR_REASON_HEAD_NOT_FOUND: ErrorReason
ERROR_REASON_NOT_CAPABLE: ErrorReason
ERROR_REASON_NO_INSTANCE: ErrorReason
ERROR_REASON_QUEUE_FULL: ErrorReason
ERROR_REASON_QUOTA_EXCEEDED: ErrorReason
ERROR_REASON_DEADLINE: ErrorReason
ERROR_REASON_DRAINING: ErrorReason
ERROR_REASON_INSTANCE_LOST: ErrorReason
ERROR_REASON_MODEL_FAILED: ErrorReason
ERROR_REASON_NOT_IMPLEMENTED: ErrorReason
ERROR_REASON_MESSAGE_TOO_LARGE: ErrorReason
ERROR_REASON_ADAPTER_NOT_FOUND: ErrorReason
ERROR_REASON_RATE_LIMITED: ErrorReason
ERROR_REASON_PROVIDER_FAILED: ErrorReason
ERROR_REASON_UNAUTHENTICATED: ErrorReason
ERROR_REASON_BLOCKED: ErrorReason
ERROR_REASON_CHANGED_MEANWHILE: ErrorReason
ERROR_REASON_NOT_KNOWN: ErrorReason
ERROR_REASON_PERMISSION_DENIED: ErrorReason
ERROR_REASON_MODEL_UNLOADED: ErrorReason
