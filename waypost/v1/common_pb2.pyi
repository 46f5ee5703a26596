import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Tier(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIER_UNSPECIFIED: _ClassVar[Tier]
    TIER_SIMPLE: _ClassVar[Tier]
    TIER_MEDIUM: _ClassVar[Tier]
    TIER_HIGH: _ClassVar[Tier]
    TIER_CREATIVE: _ClassVar[Tier]
    TIER_PREMIUM: _ClassVar[Tier]

class Priority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRIORITY_UNSPECIFIED: _ClassVar[Priority]
    PRIORITY_LOW: _ClassVar[Priority]
    PRIORITY_NORMAL: _ClassVar[Priority]
    PRIORITY_HIGH: _ClassVar[Priority]

class Truncation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRUNCATION_UNSPECIFIED: _ClassVar[Truncation]
    TRUNCATION_END: _ClassVar[Truncation]
    TRUNCATION_START: _ClassVar[Truncation]
TIER_UNSPECIFIED: Tier
TIER_SIMPLE: Tier
TIER_MEDIUM: Tier
TIER_HIGH: Tier
TIER_CREATIVE: Tier
TIER_PREMIUM: Tier
PRIORITY_UNSPECIFIED: Priority
PRIORITY_LOW: Priority
PRIORITY_NORMAL: Priority
PRIORITY_HIGH: Priority
TRUNCATION_UNSPECIFIED: Truncation
TRUNCATION_END: Truncation
TRUNCATION_START: Truncation

class RouteHints(_message.Message):
    __slots__ = ("required_tags", "optional_tags", "tier", "session", "max_cost_usd", "priority", "tenant", "no_cache", "no_store")
    REQUIRED_TAGS_FIELD_NUMBER: _ClassVar[int]
    OPTIONAL_TAGS_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    MAX_COST_USD_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    NO_CACHE_FIELD_NUMBER: _ClassVar[int]
    NO_STORE_FIELD_NUMBER: _ClassVar[int]
    required_tags: _containers.RepeatedScalarFieldContainer[str]
    optional_tags: _containers.RepeatedScalarFieldContainer[str]
    tier: Tier
    session: str
    max_cost_usd: float
    priority: Priority
    tenant: str
    no_cache: bool
    no_store: bool
    def __init__(self, required_tags: _Optional[_Iterable[str]] = ..., optional_tags: _Optional[_Iterable[str]] = ..., tier: _Optional[_Union[Tier, str]] = ..., session: _Optional[str] = ..., max_cost_usd: _Optional[float] = ..., priority: _Optional[_Union[Priority, str]] = ..., tenant: _Optional[str] = ..., no_cache: _Optional[bool] = ..., no_store: _Optional[bool] = ...) -> None: ...

class ServedBy(_message.Message):
    __slots__ = ("model", "version", "instance")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    instance: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., instance: _Optional[str] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("queue", "tokenize", "inference", "total")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    TOKENIZE_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    queue: _duration_pb2.Duration
    tokenize: _duration_pb2.Duration
    inference: _duration_pb2.Duration
    total: _duration_pb2.Duration
    def __init__(self, queue: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., tokenize: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., inference: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., total: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class TextUsage(_message.Message):
    __slots__ = ("tokens", "truncated")
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    tokens: int
    truncated: bool
    def __init__(self, tokens: _Optional[int] = ..., truncated: _Optional[bool] = ...) -> None: ...
