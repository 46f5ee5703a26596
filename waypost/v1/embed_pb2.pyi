from waypost.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EmbedRequest(_message.Message):
    __slots__ = ("model", "route", "texts", "truncation", "dimensions")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    model: str
    route: _common_pb2.RouteHints
    texts: _containers.RepeatedScalarFieldContainer[str]
    truncation: _common_pb2.Truncation
    dimensions: int
    def __init__(self, model: _Optional[str] = ..., route: _Optional[_Union[_common_pb2.RouteHints, _Mapping]] = ..., texts: _Optional[_Iterable[str]] = ..., truncation: _Optional[_Union[_common_pb2.Truncation, str]] = ..., dimensions: _Optional[int] = ...) -> None: ...

class EmbedResponse(_message.Message):
    __slots__ = ("served", "timings", "dimensions", "vectors", "usage")
    SERVED_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    served: _common_pb2.ServedBy
    timings: _common_pb2.Timings
    dimensions: int
    vectors: bytes
    usage: _containers.RepeatedCompositeFieldContainer[_common_pb2.TextUsage]
    def __init__(self, served: _Optional[_Union[_common_pb2.ServedBy, _Mapping]] = ..., timings: _Optional[_Union[_common_pb2.Timings, _Mapping]] = ..., dimensions: _Optional[int] = ..., vectors: _Optional[bytes] = ..., usage: _Optional[_Iterable[_Union[_common_pb2.TextUsage, _Mapping]]] = ...) -> None: ...

class EmbedStreamRequest(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: EmbedRequest
    def __init__(self, request: _Optional[_Union[EmbedRequest, _Mapping]] = ...) -> None: ...

class EmbedStreamResponse(_message.Message):
    __slots__ = ("response",)
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    response: EmbedResponse
    def __init__(self, response: _Optional[_Union[EmbedResponse, _Mapping]] = ...) -> None: ...

class CountTokensRequest(_message.Message):
    __slots__ = ("model", "route", "texts")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    route: _common_pb2.RouteHints
    texts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model: _Optional[str] = ..., route: _Optional[_Union[_common_pb2.RouteHints, _Mapping]] = ..., texts: _Optional[_Iterable[str]] = ...) -> None: ...

class CountTokensResponse(_message.Message):
    __slots__ = ("served", "tokens")
    SERVED_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    served: _common_pb2.ServedBy
    tokens: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, served: _Optional[_Union[_common_pb2.ServedBy, _Mapping]] = ..., tokens: _Optional[_Iterable[int]] = ...) -> None: ...
