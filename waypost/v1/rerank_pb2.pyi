from waypost.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RerankRequest(_message.Message):
    __slots__ = ("model", "route", "query", "documents", "truncation", "top_k")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    model: str
    route: _common_pb2.RouteHints
    query: str
    documents: _containers.RepeatedScalarFieldContainer[str]
    truncation: _common_pb2.Truncation
    top_k: int
    def __init__(self, model: _Optional[str] = ..., route: _Optional[_Union[_common_pb2.RouteHints, _Mapping]] = ..., query: _Optional[str] = ..., documents: _Optional[_Iterable[str]] = ..., truncation: _Optional[_Union[_common_pb2.Truncation, str]] = ..., top_k: _Optional[int] = ...) -> None: ...

class RerankResponse(_message.Message):
    __slots__ = ("served", "timings", "method", "ranking", "usage")
    SERVED_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    RANKING_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    served: _common_pb2.ServedBy
    timings: _common_pb2.Timings
    method: str
    ranking: _containers.RepeatedCompositeFieldContainer[RankedDocument]
    usage: _containers.RepeatedCompositeFieldContainer[_common_pb2.TextUsage]
    def __init__(self, served: _Optional[_Union[_common_pb2.ServedBy, _Mapping]] = ..., timings: _Optional[_Union[_common_pb2.Timings, _Mapping]] = ..., method: _Optional[str] = ..., ranking: _Optional[_Iterable[_Union[RankedDocument, _Mapping]]] = ..., usage: _Optional[_Iterable[_Union[_common_pb2.TextUsage, _Mapping]]] = ...) -> None: ...

class RankedDocument(_message.Message):
    __slots__ = ("index", "score")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    index: int
    score: float
    def __init__(self, index: _Optional[int] = ..., score: _Optional[float] = ...) -> None: ...
