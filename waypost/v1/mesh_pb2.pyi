import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from waypost.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Task(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_UNSPECIFIED: _ClassVar[Task]
    TASK_EMBED: _ClassVar[Task]
    TASK_CLASSIFY: _ClassVar[Task]
    TASK_RERANK: _ClassVar[Task]
    TASK_GENERATE: _ClassVar[Task]
    TASK_RETRIEVE: _ClassVar[Task]

class InstanceState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INSTANCE_STATE_UNSPECIFIED: _ClassVar[InstanceState]
    INSTANCE_STATE_STARTING: _ClassVar[InstanceState]
    INSTANCE_STATE_READY: _ClassVar[InstanceState]
    INSTANCE_STATE_DRAINING: _ClassVar[InstanceState]
    INSTANCE_STATE_DOWN: _ClassVar[InstanceState]
    INSTANCE_STATE_EJECTED: _ClassVar[InstanceState]
TASK_UNSPECIFIED: Task
TASK_EMBED: Task
TASK_CLASSIFY: Task
TASK_RERANK: Task
TASK_GENERATE: Task
TASK_RETRIEVE: Task
INSTANCE_STATE_UNSPECIFIED: InstanceState
INSTANCE_STATE_STARTING: InstanceState
INSTANCE_STATE_READY: InstanceState
INSTANCE_STATE_DRAINING: InstanceState
INSTANCE_STATE_DOWN: InstanceState
INSTANCE_STATE_EJECTED: InstanceState

class ModelInfo(_message.Message):
    __slots__ = ("name", "version", "backend", "tasks", "tags", "tier", "dimensions", "max_tokens", "heads", "cost_per_1k_tokens_usd", "quality", "adapters", "cost_per_1k_output_tokens_usd")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    HEADS_FIELD_NUMBER: _ClassVar[int]
    COST_PER_1K_TOKENS_USD_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    ADAPTERS_FIELD_NUMBER: _ClassVar[int]
    COST_PER_1K_OUTPUT_TOKENS_USD_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    backend: str
    tasks: _containers.RepeatedScalarFieldContainer[Task]
    tags: _containers.RepeatedScalarFieldContainer[str]
    tier: _common_pb2.Tier
    dimensions: int
    max_tokens: int
    heads: _containers.RepeatedCompositeFieldContainer[HeadInfo]
    cost_per_1k_tokens_usd: float
    quality: float
    adapters: _containers.RepeatedScalarFieldContainer[str]
    cost_per_1k_output_tokens_usd: float
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., backend: _Optional[str] = ..., tasks: _Optional[_Iterable[_Union[Task, str]]] = ..., tags: _Optional[_Iterable[str]] = ..., tier: _Optional[_Union[_common_pb2.Tier, str]] = ..., dimensions: _Optional[int] = ..., max_tokens: _Optional[int] = ..., heads: _Optional[_Iterable[_Union[HeadInfo, _Mapping]]] = ..., cost_per_1k_tokens_usd: _Optional[float] = ..., quality: _Optional[float] = ..., adapters: _Optional[_Iterable[str]] = ..., cost_per_1k_output_tokens_usd: _Optional[float] = ...) -> None: ...

class HeadInfo(_message.Message):
    __slots__ = ("name", "labels", "experimental")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENTAL_FIELD_NUMBER: _ClassVar[int]
    name: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    experimental: bool
    def __init__(self, name: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., experimental: _Optional[bool] = ...) -> None: ...

class DescribeInstanceRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeInstanceResponse(_message.Message):
    __slots__ = ("instance", "version", "models", "queue_depth", "queue_limit")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_DEPTH_FIELD_NUMBER: _ClassVar[int]
    QUEUE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    instance: str
    version: str
    models: _containers.RepeatedCompositeFieldContainer[ModelInfo]
    queue_depth: int
    queue_limit: int
    def __init__(self, instance: _Optional[str] = ..., version: _Optional[str] = ..., models: _Optional[_Iterable[_Union[ModelInfo, _Mapping]]] = ..., queue_depth: _Optional[int] = ..., queue_limit: _Optional[int] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[ModelInfo]
    def __init__(self, models: _Optional[_Iterable[_Union[ModelInfo, _Mapping]]] = ...) -> None: ...

class ListInstancesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListInstancesResponse(_message.Message):
    __slots__ = ("instances",)
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    instances: _containers.RepeatedCompositeFieldContainer[InstanceStatus]
    def __init__(self, instances: _Optional[_Iterable[_Union[InstanceStatus, _Mapping]]] = ...) -> None: ...

class InstanceStatus(_message.Message):
    __slots__ = ("instance", "address", "state", "models", "tags", "in_flight", "requests", "failures", "latency_ewma", "latency_p95", "success_rate")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    LATENCY_EWMA_FIELD_NUMBER: _ClassVar[int]
    LATENCY_P95_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_RATE_FIELD_NUMBER: _ClassVar[int]
    instance: str
    address: str
    state: InstanceState
    models: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    in_flight: int
    requests: int
    failures: int
    latency_ewma: _duration_pb2.Duration
    latency_p95: _duration_pb2.Duration
    success_rate: float
    def __init__(self, instance: _Optional[str] = ..., address: _Optional[str] = ..., state: _Optional[_Union[InstanceState, str]] = ..., models: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., in_flight: _Optional[int] = ..., requests: _Optional[int] = ..., failures: _Optional[int] = ..., latency_ewma: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., latency_p95: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., success_rate: _Optional[float] = ...) -> None: ...
