import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from waypost.v1 import common_pb2 as _common_pb2
from waypost.v1 import metrics_pb2 as _metrics_pb2
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
    INSTANCE_STATE_ASLEEP: _ClassVar[InstanceState]
    INSTANCE_STATE_WAKING: _ClassVar[InstanceState]

class BreakerState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BREAKER_STATE_UNSPECIFIED: _ClassVar[BreakerState]
    BREAKER_STATE_CLOSED: _ClassVar[BreakerState]
    BREAKER_STATE_HALF_OPEN: _ClassVar[BreakerState]
    BREAKER_STATE_OPEN: _ClassVar[BreakerState]

class RolloutState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLLOUT_STATE_UNSPECIFIED: _ClassVar[RolloutState]
    ROLLOUT_STATE_RUNNING: _ClassVar[RolloutState]
    ROLLOUT_STATE_PROMOTED: _ClassVar[RolloutState]
    ROLLOUT_STATE_ROLLED_BACK: _ClassVar[RolloutState]
    ROLLOUT_STATE_INCONCLUSIVE: _ClassVar[RolloutState]

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_INFER: _ClassVar[Role]
    ROLE_OPERATE: _ClassVar[Role]
    ROLE_ADMIN: _ClassVar[Role]

class LogLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOG_LEVEL_UNSPECIFIED: _ClassVar[LogLevel]
    LOG_LEVEL_DEBUG: _ClassVar[LogLevel]
    LOG_LEVEL_INFO: _ClassVar[LogLevel]
    LOG_LEVEL_WARNING: _ClassVar[LogLevel]
    LOG_LEVEL_ERROR: _ClassVar[LogLevel]

class LifeState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LIFE_STATE_UNSPECIFIED: _ClassVar[LifeState]
    LIFE_STATE_ASLEEP: _ClassVar[LifeState]
    LIFE_STATE_WAKING: _ClassVar[LifeState]
    LIFE_STATE_AWAKE: _ClassVar[LifeState]
    LIFE_STATE_LEAVING: _ClassVar[LifeState]
    LIFE_STATE_FAILED: _ClassVar[LifeState]
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
INSTANCE_STATE_ASLEEP: InstanceState
INSTANCE_STATE_WAKING: InstanceState
BREAKER_STATE_UNSPECIFIED: BreakerState
BREAKER_STATE_CLOSED: BreakerState
BREAKER_STATE_HALF_OPEN: BreakerState
BREAKER_STATE_OPEN: BreakerState
ROLLOUT_STATE_UNSPECIFIED: RolloutState
ROLLOUT_STATE_RUNNING: RolloutState
ROLLOUT_STATE_PROMOTED: RolloutState
ROLLOUT_STATE_ROLLED_BACK: RolloutState
ROLLOUT_STATE_INCONCLUSIVE: RolloutState
ROLE_UNSPECIFIED: Role
ROLE_INFER: Role
ROLE_OPERATE: Role
ROLE_ADMIN: Role
LOG_LEVEL_UNSPECIFIED: LogLevel
LOG_LEVEL_DEBUG: LogLevel
LOG_LEVEL_INFO: LogLevel
LOG_LEVEL_WARNING: LogLevel
LOG_LEVEL_ERROR: LogLevel
LIFE_STATE_UNSPECIFIED: LifeState
LIFE_STATE_ASLEEP: LifeState
LIFE_STATE_WAKING: LifeState
LIFE_STATE_AWAKE: LifeState
LIFE_STATE_LEAVING: LifeState
LIFE_STATE_FAILED: LifeState

class ModelInfo(_message.Message):
    __slots__ = ("name", "version", "backend", "tasks", "tags", "tier", "dimensions", "max_tokens", "heads", "cost_per_1k_tokens_usd", "quality", "adapters", "cost_per_1k_output_tokens_usd", "slots", "default_max_tokens", "unloaded", "pinned", "hot")
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
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    UNLOADED_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    HOT_FIELD_NUMBER: _ClassVar[int]
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
    slots: int
    default_max_tokens: int
    unloaded: bool
    pinned: bool
    hot: bool
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., backend: _Optional[str] = ..., tasks: _Optional[_Iterable[_Union[Task, str]]] = ..., tags: _Optional[_Iterable[str]] = ..., tier: _Optional[_Union[_common_pb2.Tier, str]] = ..., dimensions: _Optional[int] = ..., max_tokens: _Optional[int] = ..., heads: _Optional[_Iterable[_Union[HeadInfo, _Mapping]]] = ..., cost_per_1k_tokens_usd: _Optional[float] = ..., quality: _Optional[float] = ..., adapters: _Optional[_Iterable[str]] = ..., cost_per_1k_output_tokens_usd: _Optional[float] = ..., slots: _Optional[int] = ..., default_max_tokens: _Optional[int] = ..., unloaded: _Optional[bool] = ..., pinned: _Optional[bool] = ..., hot: _Optional[bool] = ...) -> None: ...

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
    __slots__ = ("instance", "address", "state", "models", "tags", "in_flight", "requests", "failures", "latency_ewma", "latency_p95", "success_rate", "breaker", "ejections", "drained")
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
    BREAKER_FIELD_NUMBER: _ClassVar[int]
    EJECTIONS_FIELD_NUMBER: _ClassVar[int]
    DRAINED_FIELD_NUMBER: _ClassVar[int]
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
    breaker: BreakerState
    ejections: int
    drained: bool
    def __init__(self, instance: _Optional[str] = ..., address: _Optional[str] = ..., state: _Optional[_Union[InstanceState, str]] = ..., models: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., in_flight: _Optional[int] = ..., requests: _Optional[int] = ..., failures: _Optional[int] = ..., latency_ewma: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., latency_p95: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., success_rate: _Optional[float] = ..., breaker: _Optional[_Union[BreakerState, str]] = ..., ejections: _Optional[int] = ..., drained: _Optional[bool] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("model", "route", "task", "text", "head", "max_tokens")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    model: str
    route: _common_pb2.RouteHints
    task: Task
    text: str
    head: str
    max_tokens: int
    def __init__(self, model: _Optional[str] = ..., route: _Optional[_Union[_common_pb2.RouteHints, _Mapping]] = ..., task: _Optional[_Union[Task, str]] = ..., text: _Optional[str] = ..., head: _Optional[str] = ..., max_tokens: _Optional[int] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("route", "features", "models", "hops", "instances", "cost_usd", "error", "policy")
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    route: str
    features: PromptFeatures
    models: _containers.RepeatedCompositeFieldContainer[ModelCandidate]
    hops: _containers.RepeatedCompositeFieldContainer[RouteHop]
    instances: _containers.RepeatedCompositeFieldContainer[InstanceCandidate]
    cost_usd: float
    error: str
    policy: PolicyMatch
    def __init__(self, route: _Optional[str] = ..., features: _Optional[_Union[PromptFeatures, _Mapping]] = ..., models: _Optional[_Iterable[_Union[ModelCandidate, _Mapping]]] = ..., hops: _Optional[_Iterable[_Union[RouteHop, _Mapping]]] = ..., instances: _Optional[_Iterable[_Union[InstanceCandidate, _Mapping]]] = ..., cost_usd: _Optional[float] = ..., error: _Optional[str] = ..., policy: _Optional[_Union[PolicyMatch, _Mapping]] = ...) -> None: ...

class PolicyMatch(_message.Message):
    __slots__ = ("id", "cosine")
    ID_FIELD_NUMBER: _ClassVar[int]
    COSINE_FIELD_NUMBER: _ClassVar[int]
    id: str
    cosine: float
    def __init__(self, id: _Optional[str] = ..., cosine: _Optional[float] = ...) -> None: ...

class PromptFeatures(_message.Message):
    __slots__ = ("complexity", "quantile", "tier", "confidence", "coverage", "tier_reason", "tags", "guard", "guard_score")
    COMPLEXITY_FIELD_NUMBER: _ClassVar[int]
    QUANTILE_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    TIER_REASON_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    GUARD_FIELD_NUMBER: _ClassVar[int]
    GUARD_SCORE_FIELD_NUMBER: _ClassVar[int]
    complexity: float
    quantile: float
    tier: _common_pb2.Tier
    confidence: float
    coverage: float
    tier_reason: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    guard: str
    guard_score: float
    def __init__(self, complexity: _Optional[float] = ..., quantile: _Optional[float] = ..., tier: _Optional[_Union[_common_pb2.Tier, str]] = ..., confidence: _Optional[float] = ..., coverage: _Optional[float] = ..., tier_reason: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., guard: _Optional[str] = ..., guard_score: _Optional[float] = ...) -> None: ...

class ModelCandidate(_message.Message):
    __slots__ = ("model", "tier", "score", "terms", "excluded")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_FIELD_NUMBER: _ClassVar[int]
    model: str
    tier: _common_pb2.Tier
    score: float
    terms: ScoreTerms
    excluded: str
    def __init__(self, model: _Optional[str] = ..., tier: _Optional[_Union[_common_pb2.Tier, str]] = ..., score: _Optional[float] = ..., terms: _Optional[_Union[ScoreTerms, _Mapping]] = ..., excluded: _Optional[str] = ...) -> None: ...

class InstanceCandidate(_message.Message):
    __slots__ = ("instance", "score", "terms", "in_flight", "admitted", "propensity")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    ADMITTED_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    instance: str
    score: float
    terms: ScoreTerms
    in_flight: int
    admitted: bool
    propensity: float
    def __init__(self, instance: _Optional[str] = ..., score: _Optional[float] = ..., terms: _Optional[_Union[ScoreTerms, _Mapping]] = ..., in_flight: _Optional[int] = ..., admitted: _Optional[bool] = ..., propensity: _Optional[float] = ...) -> None: ...

class ScoreTerms(_message.Message):
    __slots__ = ("latency", "queue", "fit", "health", "feedback")
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    FIT_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    FEEDBACK_FIELD_NUMBER: _ClassVar[int]
    latency: float
    queue: float
    fit: float
    health: float
    feedback: float
    def __init__(self, latency: _Optional[float] = ..., queue: _Optional[float] = ..., fit: _Optional[float] = ..., health: _Optional[float] = ..., feedback: _Optional[float] = ...) -> None: ...

class RouteHop(_message.Message):
    __slots__ = ("model", "reason")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    model: str
    reason: str
    def __init__(self, model: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class GetBudgetRequest(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    def __init__(self, tenant: _Optional[str] = ...) -> None: ...

class GetBudgetResponse(_message.Message):
    __slots__ = ("month", "cap_usd", "spent_usd", "reserved_usd", "remaining_usd", "models")
    MONTH_FIELD_NUMBER: _ClassVar[int]
    CAP_USD_FIELD_NUMBER: _ClassVar[int]
    SPENT_USD_FIELD_NUMBER: _ClassVar[int]
    RESERVED_USD_FIELD_NUMBER: _ClassVar[int]
    REMAINING_USD_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    month: str
    cap_usd: float
    spent_usd: float
    reserved_usd: float
    remaining_usd: float
    models: _containers.RepeatedCompositeFieldContainer[ModelSpend]
    def __init__(self, month: _Optional[str] = ..., cap_usd: _Optional[float] = ..., spent_usd: _Optional[float] = ..., reserved_usd: _Optional[float] = ..., remaining_usd: _Optional[float] = ..., models: _Optional[_Iterable[_Union[ModelSpend, _Mapping]]] = ...) -> None: ...

class ModelSpend(_message.Message):
    __slots__ = ("model", "calls", "spent_usd")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    SPENT_USD_FIELD_NUMBER: _ClassVar[int]
    model: str
    calls: int
    spent_usd: float
    def __init__(self, model: _Optional[str] = ..., calls: _Optional[int] = ..., spent_usd: _Optional[float] = ...) -> None: ...

class SendFeedbackRequest(_message.Message):
    __slots__ = ("request_id", "score")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    score: float
    def __init__(self, request_id: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...

class SendFeedbackResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class Rollout(_message.Message):
    __slots__ = ("name", "stable", "canary", "steps", "step", "shadow_share", "step_limit", "state", "reason", "revision")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STABLE_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    SHADOW_SHARE_FIELD_NUMBER: _ClassVar[int]
    STEP_LIMIT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    name: str
    stable: str
    canary: str
    steps: _containers.RepeatedScalarFieldContainer[float]
    step: int
    shadow_share: float
    step_limit: _duration_pb2.Duration
    state: RolloutState
    reason: str
    revision: int
    def __init__(self, name: _Optional[str] = ..., stable: _Optional[str] = ..., canary: _Optional[str] = ..., steps: _Optional[_Iterable[float]] = ..., step: _Optional[int] = ..., shadow_share: _Optional[float] = ..., step_limit: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., state: _Optional[_Union[RolloutState, str]] = ..., reason: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class ListRolloutsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListRolloutsResponse(_message.Message):
    __slots__ = ("rollouts",)
    ROLLOUTS_FIELD_NUMBER: _ClassVar[int]
    rollouts: _containers.RepeatedCompositeFieldContainer[RolloutStatus]
    def __init__(self, rollouts: _Optional[_Iterable[_Union[RolloutStatus, _Mapping]]] = ...) -> None: ...

class RolloutStatus(_message.Message):
    __slots__ = ("rollout", "stable", "canary")
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    STABLE_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    rollout: Rollout
    stable: RolloutArm
    canary: RolloutArm
    def __init__(self, rollout: _Optional[_Union[Rollout, _Mapping]] = ..., stable: _Optional[_Union[RolloutArm, _Mapping]] = ..., canary: _Optional[_Union[RolloutArm, _Mapping]] = ...) -> None: ...

class RolloutArm(_message.Message):
    __slots__ = ("calls", "errors", "latency_p50", "latency_p95", "quality", "feedback")
    CALLS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_P50_FIELD_NUMBER: _ClassVar[int]
    LATENCY_P95_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    FEEDBACK_FIELD_NUMBER: _ClassVar[int]
    calls: int
    errors: int
    latency_p50: _duration_pb2.Duration
    latency_p95: _duration_pb2.Duration
    quality: float
    feedback: float
    def __init__(self, calls: _Optional[int] = ..., errors: _Optional[int] = ..., latency_p50: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., latency_p95: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., quality: _Optional[float] = ..., feedback: _Optional[float] = ...) -> None: ...

class SetRolloutRequest(_message.Message):
    __slots__ = ("rollout",)
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    rollout: Rollout
    def __init__(self, rollout: _Optional[_Union[Rollout, _Mapping]] = ...) -> None: ...

class SetRolloutResponse(_message.Message):
    __slots__ = ("rollout",)
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    rollout: Rollout
    def __init__(self, rollout: _Optional[_Union[Rollout, _Mapping]] = ...) -> None: ...

class LoadModelRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class LoadModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: ModelInfo
    def __init__(self, model: _Optional[_Union[ModelInfo, _Mapping]] = ...) -> None: ...

class UnloadModelRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class UnloadModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: ModelInfo
    def __init__(self, model: _Optional[_Union[ModelInfo, _Mapping]] = ...) -> None: ...

class Token(_message.Message):
    __slots__ = ("id", "tenant", "role", "note", "created", "expires", "revoked")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant: str
    role: Role
    note: str
    created: _timestamp_pb2.Timestamp
    expires: _timestamp_pb2.Timestamp
    revoked: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., tenant: _Optional[str] = ..., role: _Optional[_Union[Role, str]] = ..., note: _Optional[str] = ..., created: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revoked: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateTokenRequest(_message.Message):
    __slots__ = ("tenant", "role", "note", "lifetime")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    role: Role
    note: str
    lifetime: _duration_pb2.Duration
    def __init__(self, tenant: _Optional[str] = ..., role: _Optional[_Union[Role, str]] = ..., note: _Optional[str] = ..., lifetime: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CreateTokenResponse(_message.Message):
    __slots__ = ("token", "secret")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    token: Token
    secret: str
    def __init__(self, token: _Optional[_Union[Token, _Mapping]] = ..., secret: _Optional[str] = ...) -> None: ...

class ListTokensRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListTokensResponse(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedCompositeFieldContainer[Token]
    def __init__(self, tokens: _Optional[_Iterable[_Union[Token, _Mapping]]] = ...) -> None: ...

class RevokeTokenRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class RevokeTokenResponse(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: Token
    def __init__(self, token: _Optional[_Union[Token, _Mapping]] = ...) -> None: ...

class GetMetricsRequest(_message.Message):
    __slots__ = ("own_only",)
    OWN_ONLY_FIELD_NUMBER: _ClassVar[int]
    own_only: bool
    def __init__(self, own_only: _Optional[bool] = ...) -> None: ...

class GetMetricsResponse(_message.Message):
    __slots__ = ("families",)
    FAMILIES_FIELD_NUMBER: _ClassVar[int]
    families: _containers.RepeatedCompositeFieldContainer[_metrics_pb2.MetricFamily]
    def __init__(self, families: _Optional[_Iterable[_Union[_metrics_pb2.MetricFamily, _Mapping]]] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("instance", "version", "started", "policy", "in_flight", "max_in_flight", "retry_budget", "weights", "log_level", "cache", "tiers", "routes", "dropped_events", "role")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    MAX_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    RETRY_BUDGET_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    LOG_LEVEL_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    DROPPED_EVENTS_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    instance: str
    version: str
    started: _timestamp_pb2.Timestamp
    policy: str
    in_flight: int
    max_in_flight: int
    retry_budget: float
    weights: ScoreWeights
    log_level: LogLevel
    cache: CacheStatus
    tiers: _containers.RepeatedCompositeFieldContainer[TierStatus]
    routes: _containers.RepeatedCompositeFieldContainer[RouteStatus]
    dropped_events: int
    role: Role
    def __init__(self, instance: _Optional[str] = ..., version: _Optional[str] = ..., started: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., policy: _Optional[str] = ..., in_flight: _Optional[int] = ..., max_in_flight: _Optional[int] = ..., retry_budget: _Optional[float] = ..., weights: _Optional[_Union[ScoreWeights, _Mapping]] = ..., log_level: _Optional[_Union[LogLevel, str]] = ..., cache: _Optional[_Union[CacheStatus, _Mapping]] = ..., tiers: _Optional[_Iterable[_Union[TierStatus, _Mapping]]] = ..., routes: _Optional[_Iterable[_Union[RouteStatus, _Mapping]]] = ..., dropped_events: _Optional[int] = ..., role: _Optional[_Union[Role, str]] = ...) -> None: ...

class ScoreWeights(_message.Message):
    __slots__ = ("latency", "queue", "fit", "health", "feedback")
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    FIT_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    FEEDBACK_FIELD_NUMBER: _ClassVar[int]
    latency: float
    queue: float
    fit: float
    health: float
    feedback: float
    def __init__(self, latency: _Optional[float] = ..., queue: _Optional[float] = ..., fit: _Optional[float] = ..., health: _Optional[float] = ..., feedback: _Optional[float] = ...) -> None: ...

class CacheStatus(_message.Message):
    __slots__ = ("hits", "near_hits", "misses", "bytes", "audited", "false_hits", "shared_hits")
    HITS_FIELD_NUMBER: _ClassVar[int]
    NEAR_HITS_FIELD_NUMBER: _ClassVar[int]
    MISSES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    AUDITED_FIELD_NUMBER: _ClassVar[int]
    FALSE_HITS_FIELD_NUMBER: _ClassVar[int]
    SHARED_HITS_FIELD_NUMBER: _ClassVar[int]
    hits: int
    near_hits: int
    misses: int
    bytes: int
    audited: int
    false_hits: int
    shared_hits: int
    def __init__(self, hits: _Optional[int] = ..., near_hits: _Optional[int] = ..., misses: _Optional[int] = ..., bytes: _Optional[int] = ..., audited: _Optional[int] = ..., false_hits: _Optional[int] = ..., shared_hits: _Optional[int] = ...) -> None: ...

class TierStatus(_message.Message):
    __slots__ = ("tier", "target", "achieved")
    TIER_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    ACHIEVED_FIELD_NUMBER: _ClassVar[int]
    tier: _common_pb2.Tier
    target: float
    achieved: float
    def __init__(self, tier: _Optional[_Union[_common_pb2.Tier, str]] = ..., target: _Optional[float] = ..., achieved: _Optional[float] = ...) -> None: ...

class RouteStatus(_message.Message):
    __slots__ = ("name", "shares")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    name: str
    shares: _containers.RepeatedCompositeFieldContainer[RouteShare]
    def __init__(self, name: _Optional[str] = ..., shares: _Optional[_Iterable[_Union[RouteShare, _Mapping]]] = ...) -> None: ...

class RouteShare(_message.Message):
    __slots__ = ("model", "share")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    model: str
    share: float
    def __init__(self, model: _Optional[str] = ..., share: _Optional[float] = ...) -> None: ...

class GetHistoryRequest(_message.Message):
    __slots__ = ("after",)
    AFTER_FIELD_NUMBER: _ClassVar[int]
    after: _timestamp_pb2.Timestamp
    def __init__(self, after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetHistoryResponse(_message.Message):
    __slots__ = ("bounds", "points")
    BOUNDS_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    bounds: _containers.RepeatedScalarFieldContainer[float]
    points: _containers.RepeatedCompositeFieldContainer[HistoryPoint]
    def __init__(self, bounds: _Optional[_Iterable[float]] = ..., points: _Optional[_Iterable[_Union[HistoryPoint, _Mapping]]] = ...) -> None: ...

class HistoryPoint(_message.Message):
    __slots__ = ("time", "calls", "errors", "latencies", "completion_tokens", "prompt_tokens", "cost_usd", "cache_hits", "in_flight", "instances")
    TIME_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    LATENCIES_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    CACHE_HITS_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    calls: int
    errors: int
    latencies: _containers.RepeatedScalarFieldContainer[int]
    completion_tokens: int
    prompt_tokens: int
    cost_usd: float
    cache_hits: int
    in_flight: int
    instances: _containers.RepeatedCompositeFieldContainer[InstancePoint]
    def __init__(self, time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., calls: _Optional[int] = ..., errors: _Optional[int] = ..., latencies: _Optional[_Iterable[int]] = ..., completion_tokens: _Optional[int] = ..., prompt_tokens: _Optional[int] = ..., cost_usd: _Optional[float] = ..., cache_hits: _Optional[int] = ..., in_flight: _Optional[int] = ..., instances: _Optional[_Iterable[_Union[InstancePoint, _Mapping]]] = ...) -> None: ...

class InstancePoint(_message.Message):
    __slots__ = ("instance", "calls", "errors", "in_flight")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    instance: str
    calls: int
    errors: int
    in_flight: int
    def __init__(self, instance: _Optional[str] = ..., calls: _Optional[int] = ..., errors: _Optional[int] = ..., in_flight: _Optional[int] = ...) -> None: ...

class ListDecisionsRequest(_message.Message):
    __slots__ = ("limit", "after", "request_id")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    limit: int
    after: int
    request_id: str
    def __init__(self, limit: _Optional[int] = ..., after: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class ListDecisionsResponse(_message.Message):
    __slots__ = ("decisions",)
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    decisions: _containers.RepeatedCompositeFieldContainer[Decision]
    def __init__(self, decisions: _Optional[_Iterable[_Union[Decision, _Mapping]]] = ...) -> None: ...

class Decision(_message.Message):
    __slots__ = ("number", "json")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    number: int
    json: str
    def __init__(self, number: _Optional[int] = ..., json: _Optional[str] = ...) -> None: ...

class DrainInstanceRequest(_message.Message):
    __slots__ = ("instance", "drained")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    DRAINED_FIELD_NUMBER: _ClassVar[int]
    instance: str
    drained: bool
    def __init__(self, instance: _Optional[str] = ..., drained: _Optional[bool] = ...) -> None: ...

class DrainInstanceResponse(_message.Message):
    __slots__ = ("instance",)
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    instance: InstanceStatus
    def __init__(self, instance: _Optional[_Union[InstanceStatus, _Mapping]] = ...) -> None: ...

class PinModelRequest(_message.Message):
    __slots__ = ("model", "pinned")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    model: str
    pinned: bool
    def __init__(self, model: _Optional[str] = ..., pinned: _Optional[bool] = ...) -> None: ...

class PinModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: ModelInfo
    def __init__(self, model: _Optional[_Union[ModelInfo, _Mapping]] = ...) -> None: ...

class SetWeightsRequest(_message.Message):
    __slots__ = ("weights",)
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    weights: ScoreWeights
    def __init__(self, weights: _Optional[_Union[ScoreWeights, _Mapping]] = ...) -> None: ...

class SetWeightsResponse(_message.Message):
    __slots__ = ("weights",)
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    weights: ScoreWeights
    def __init__(self, weights: _Optional[_Union[ScoreWeights, _Mapping]] = ...) -> None: ...

class SetLogLevelRequest(_message.Message):
    __slots__ = ("level", "instance")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    level: LogLevel
    instance: str
    def __init__(self, level: _Optional[_Union[LogLevel, str]] = ..., instance: _Optional[str] = ...) -> None: ...

class SetLogLevelResponse(_message.Message):
    __slots__ = ("instances",)
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    instances: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, instances: _Optional[_Iterable[str]] = ...) -> None: ...

class SuperviseRequest(_message.Message):
    __slots__ = ("instances",)
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    instances: _containers.RepeatedCompositeFieldContainer[InstanceLife]
    def __init__(self, instances: _Optional[_Iterable[_Union[InstanceLife, _Mapping]]] = ...) -> None: ...

class InstanceLife(_message.Message):
    __slots__ = ("address", "state", "described", "start", "memory_bytes", "error")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DESCRIBED_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    address: str
    state: LifeState
    described: DescribeInstanceResponse
    start: _duration_pb2.Duration
    memory_bytes: int
    error: str
    def __init__(self, address: _Optional[str] = ..., state: _Optional[_Union[LifeState, str]] = ..., described: _Optional[_Union[DescribeInstanceResponse, _Mapping]] = ..., start: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., memory_bytes: _Optional[int] = ..., error: _Optional[str] = ...) -> None: ...

class SuperviseResponse(_message.Message):
    __slots__ = ("instances",)
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    instances: _containers.RepeatedCompositeFieldContainer[InstanceDemand]
    def __init__(self, instances: _Optional[_Iterable[_Union[InstanceDemand, _Mapping]]] = ...) -> None: ...

class InstanceDemand(_message.Message):
    __slots__ = ("address", "waiting", "in_flight", "calls", "last_call", "pinned", "hot")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    LAST_CALL_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    HOT_FIELD_NUMBER: _ClassVar[int]
    address: str
    waiting: int
    in_flight: int
    calls: int
    last_call: _timestamp_pb2.Timestamp
    pinned: bool
    hot: bool
    def __init__(self, address: _Optional[str] = ..., waiting: _Optional[int] = ..., in_flight: _Optional[int] = ..., calls: _Optional[int] = ..., last_call: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., pinned: _Optional[bool] = ..., hot: _Optional[bool] = ...) -> None: ...
