"""The rpcs as values: where a call goes, what it sends, how its reply is read.

`Client` and `AsyncClient` differ only in how they wait, so everything else is here and in `_requests`, `_generate`,
`_control`, `_observed`, `_replies`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar, Unpack, cast

from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from waypost import _control, _generate, _observed, _replies, _requests
from waypost._control import ExplainOptions
from waypost._generate import CountPromptOptions, GenerateOptions, Messages
from waypost._requests import ClassifyOptions, CountOptions, EmbedOptions, RerankOptions
from waypost._trailers import routing
from waypost.control import Budget, Explanation, NewToken, Rollout, RolloutStatus, Token
from waypost.observed import Decision, History, MetricFamily, RouterStatus, ScoreWeights
from waypost.results import (
    Classifications,
    Embeddings,
    Generation,
    GenerationChunk,
    InstanceInfo,
    InstanceStatus,
    ModelInfo,
    PromptTokens,
    Ranking,
    Routed,
    TokenCounts,
)
from waypost.v1 import (
    classify_pb2,
    embed_pb2,
    generate_pb2,
    mesh_pb2,
    rerank_pb2,
    retrieve_pb2,
)

R = TypeVar("R")

CONTRACT: tuple[FileDescriptor, ...] = tuple(
    module.DESCRIPTOR for module in (classify_pb2, embed_pb2, generate_pb2, mesh_pb2, rerank_pb2, retrieve_pb2)
)

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""Largest message sent or received, as in the server; a larger one fails with RESOURCE_EXHAUSTED."""


@dataclass(frozen=True)
class Rpc(Generic[R]):
    """A method of the contract: its path and how its replies are read."""

    path: str
    reply: type[Message]
    read: Callable[[Any], R]


@dataclass(frozen=True)
class Call(Generic[R]):
    """A unary call ready to be sent."""

    rpc: Rpc[R]
    request: Message


EMBED = Rpc("/waypost.v1.EmbedService/Embed", embed_pb2.EmbedResponse, _replies.embeddings)
EMBED_STREAM = Rpc("/waypost.v1.EmbedService/EmbedStream", embed_pb2.EmbedStreamResponse, _replies.streamed_embeddings)
COUNT_TOKENS = Rpc("/waypost.v1.EmbedService/CountTokens", embed_pb2.CountTokensResponse, _replies.token_counts)
CLASSIFY = Rpc("/waypost.v1.ClassifyService/Classify", classify_pb2.ClassifyResponse, _replies.classifications)
GENERATE = Rpc("/waypost.v1.GenerateService/Generate", generate_pb2.GenerateResponse, _replies.generation)
COUNT_PROMPT_TOKENS = Rpc(
    "/waypost.v1.GenerateService/CountTokens", generate_pb2.GenerateServiceCountTokensResponse, _replies.prompt_tokens
)
MODELS = Rpc("/waypost.v1.MeshService/ListModels", mesh_pb2.ListModelsResponse, _replies.models)
INSTANCE = Rpc("/waypost.v1.MeshService/DescribeInstance", mesh_pb2.DescribeInstanceResponse, _replies.instance)
INSTANCES = Rpc("/waypost.v1.MeshService/ListInstances", mesh_pb2.ListInstancesResponse, _replies.instances)
EXPLAIN = Rpc("/waypost.v1.MeshService/Explain", mesh_pb2.ExplainResponse, _control.explanation)
BUDGET = Rpc("/waypost.v1.MeshService/GetBudget", mesh_pb2.GetBudgetResponse, _control.budget)
FEEDBACK = Rpc("/waypost.v1.MeshService/SendFeedback", mesh_pb2.SendFeedbackResponse, _control.judged_model)
ROLLOUTS = Rpc("/waypost.v1.MeshService/ListRollouts", mesh_pb2.ListRolloutsResponse, _control.rollouts)
SET_ROLLOUT = Rpc("/waypost.v1.MeshService/SetRollout", mesh_pb2.SetRolloutResponse, _control.changed_rollout)
LOAD_MODEL = Rpc("/waypost.v1.MeshService/LoadModel", mesh_pb2.LoadModelResponse, _replies.changed_model)
UNLOAD_MODEL = Rpc("/waypost.v1.MeshService/UnloadModel", mesh_pb2.UnloadModelResponse, _replies.changed_model)
TOKENS = Rpc("/waypost.v1.MeshService/ListTokens", mesh_pb2.ListTokensResponse, _control.tokens)
CREATE_TOKEN = Rpc("/waypost.v1.MeshService/CreateToken", mesh_pb2.CreateTokenResponse, _control.new_token)
REVOKE_TOKEN = Rpc("/waypost.v1.MeshService/RevokeToken", mesh_pb2.RevokeTokenResponse, _control.revoked_token)
METRICS = Rpc("/waypost.v1.MeshService/GetMetrics", mesh_pb2.GetMetricsResponse, _observed.metrics)
STATUS = Rpc("/waypost.v1.MeshService/GetStatus", mesh_pb2.GetStatusResponse, _observed.status)
HISTORY = Rpc("/waypost.v1.MeshService/GetHistory", mesh_pb2.GetHistoryResponse, _observed.history)
DECISIONS = Rpc("/waypost.v1.MeshService/ListDecisions", mesh_pb2.ListDecisionsResponse, _observed.decisions)
DRAIN = Rpc("/waypost.v1.MeshService/DrainInstance", mesh_pb2.DrainInstanceResponse, _observed.drained_instance)
PIN = Rpc("/waypost.v1.MeshService/PinModel", mesh_pb2.PinModelResponse, _observed.pinned_model)
SET_WEIGHTS = Rpc("/waypost.v1.MeshService/SetWeights", mesh_pb2.SetWeightsResponse, _observed.new_weights)
SET_LOG_LEVEL = Rpc("/waypost.v1.MeshService/SetLogLevel", mesh_pb2.SetLogLevelResponse, _observed.told)
HEALTH = Rpc("/grpc.health.v1.Health/Check", health_pb2.HealthCheckResponse, _replies.health)


def embed(texts: Sequence[str], **options: Unpack[EmbedOptions]) -> Call[Embeddings]:
    return Call(EMBED, _requests.embed(texts, **options))


def count_tokens(texts: Sequence[str], **options: Unpack[CountOptions]) -> Call[TokenCounts]:
    return Call(COUNT_TOKENS, _requests.count_tokens(texts, **options))


def classify(texts: Sequence[str], **options: Unpack[ClassifyOptions]) -> Call[Classifications]:
    return Call(CLASSIFY, _requests.classify(texts, **options))


def rerank(query: str, documents: Sequence[str], **options: Unpack[RerankOptions]) -> Call[Ranking]:
    request = _requests.rerank(query, documents, **options)
    rpc = Rpc(
        "/waypost.v1.RerankService/Rerank",
        rerank_pb2.RerankResponse,
        lambda reply: _replies.ranking(reply, documents),
    )
    return Call(rpc, request)


def generate(messages: Messages, **options: Unpack[GenerateOptions]) -> Call[Generation]:
    return Call(GENERATE, _generate.generate(messages, **options))


def generate_stream(messages: Messages, **options: Unpack[GenerateOptions]) -> Call[GenerationChunk]:
    rpc = Rpc("/waypost.v1.GenerateService/GenerateStream", generate_pb2.GenerateStreamResponse, _replies.Chunks())
    return Call(rpc, _generate.generate_stream(messages, **options))


def count_prompt_tokens(messages: Messages, **options: Unpack[CountPromptOptions]) -> Call[PromptTokens]:
    return Call(COUNT_PROMPT_TOKENS, _generate.count_prompt_tokens(messages, **options))


def models() -> Call[tuple[ModelInfo, ...]]:
    return Call(MODELS, mesh_pb2.ListModelsRequest())


def instance() -> Call[InstanceInfo]:
    return Call(INSTANCE, mesh_pb2.DescribeInstanceRequest())


def instances() -> Call[tuple[InstanceStatus, ...]]:
    return Call(INSTANCES, mesh_pb2.ListInstancesRequest())


def explain(text: str, **options: Unpack[ExplainOptions]) -> Call[Explanation]:
    return Call(EXPLAIN, _control.explain(text, **options))


def budget(tenant: str) -> Call[Budget]:
    return Call(BUDGET, _control.get_budget(tenant))


def feedback(request_id: str, score: float) -> Call[str]:
    return Call(FEEDBACK, _control.send_feedback(request_id, score))


def rollouts() -> Call[tuple[RolloutStatus, ...]]:
    return Call(ROLLOUTS, mesh_pb2.ListRolloutsRequest())


def set_rollout(rollout: Rollout) -> Call[Rollout]:
    return Call(SET_ROLLOUT, _control.set_rollout(rollout))


def load_model(model: str) -> Call[ModelInfo]:
    return Call(LOAD_MODEL, _control.load_model(model))


def unload_model(model: str) -> Call[ModelInfo]:
    return Call(UNLOAD_MODEL, _control.unload_model(model))


def tokens() -> Call[tuple[Token, ...]]:
    return Call(TOKENS, mesh_pb2.ListTokensRequest())


def create_token(tenant: str, role: str, note: str, lifetime: float | None) -> Call[NewToken]:
    return Call(CREATE_TOKEN, _control.create_token(tenant, role, note, lifetime))


def revoke_token(id: str) -> Call[Token]:
    return Call(REVOKE_TOKEN, _control.revoke_token(id))


def metrics(own_only: bool) -> Call[tuple[MetricFamily, ...]]:
    return Call(METRICS, mesh_pb2.GetMetricsRequest(own_only=own_only))


def status() -> Call[RouterStatus]:
    return Call(STATUS, mesh_pb2.GetStatusRequest())


def history(after: datetime | None) -> Call[History]:
    return Call(HISTORY, _observed.get_history(after))


def decisions(limit: int, after: int, request_id: str) -> Call[tuple[Decision, ...]]:
    return Call(DECISIONS, _observed.list_decisions(limit, after, request_id))


def drain(instance: str, drained: bool) -> Call[InstanceStatus]:
    return Call(DRAIN, _observed.drain_instance(instance, drained))


def pin(model: str, pinned: bool) -> Call[ModelInfo]:
    return Call(PIN, _observed.pin_model(model, pinned))


def set_weights(weights: ScoreWeights) -> Call[ScoreWeights]:
    return Call(SET_WEIGHTS, _observed.set_weights(weights))


def set_log_level(level: str, instance: str) -> Call[tuple[str, ...]]:
    return Call(SET_LOG_LEVEL, _observed.set_log_level(level, instance))


def health(service: str) -> Call[str]:
    return Call(HEALTH, health_pb2.HealthCheckRequest(service=service))


def routed(result: R, trailers: Iterable[tuple[str, Any]] | None) -> R:
    """The result, with what the trailers say of its way."""
    if not isinstance(result, Routed):
        return result
    return cast("R", replace(result, routing=routing(trailers)))


def channel_options(address: str) -> list[tuple[str, Any]]:
    """What every channel is opened with: message sizes, the retry policy below, and a name that a Unix socket lacks.

    Its path as `:authority`, which is what grpcio would send, is no host, and servers that look refuse the call.
    """
    return [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.service_config", service_config()),
        *([("grpc.default_authority", "localhost")] if address.startswith("unix:") else []),
    ]


def service_config() -> str:
    """Retries of calls the contract marks as free of side effects, within the call's deadline.

    grpcio waits as long as the server asks (`grpc-retry-pushback-ms`) and keeps the retry budget of `retryThrottling`,
    so that a mesh in trouble does not get four times its load.
    """
    policy = {
        "name": [_name(method) for file in CONTRACT for method in _methods(file) if _repeatable(method)],
        "retryPolicy": {
            "maxAttempts": 4,
            "initialBackoff": "0.1s",
            "maxBackoff": "1s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        },
    }
    return json.dumps({"methodConfig": [policy], "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.2}})


def _methods(file: FileDescriptor) -> list[MethodDescriptor]:
    return [method for service in file.services_by_name.values() for method in service.methods]


def _repeatable(method: MethodDescriptor) -> bool:
    return method.GetOptions().idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN


def _name(method: MethodDescriptor) -> dict[str, str]:
    return {"service": method.containing_service.full_name, "method": method.name}
