"""Protobuf replies to `waypost.results`: one function per reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2

from waypost.results import (
    Classification,
    Classifications,
    Embeddings,
    GenerateUsage,
    Generation,
    GenerationChunk,
    HeadInfo,
    InstanceInfo,
    InstanceStatus,
    LabelScore,
    ModelInfo,
    PromptTokens,
    RankedDocument,
    Ranking,
    ServedBy,
    TextUsage,
    Timings,
    TokenCounts,
    TokenLogprob,
    ToolCall,
)
from waypost.v1 import (
    classify_pb2,
    common_pb2,
    embed_pb2,
    generate_pb2,
    mesh_pb2,
    rerank_pb2,
)


def embeddings(reply: embed_pb2.EmbedResponse) -> Embeddings:
    vectors = np.frombuffer(reply.vectors, dtype="<f4").reshape(-1, reply.dimensions or 1)
    return Embeddings(served(reply.served), timings(reply.timings), vectors, _usage(reply.usage))


def streamed_embeddings(reply: embed_pb2.EmbedStreamResponse) -> Embeddings:
    return embeddings(reply.response)


def token_counts(reply: embed_pb2.CountTokensResponse) -> TokenCounts:
    return TokenCounts(served(reply.served), tuple(reply.tokens))


def classifications(reply: classify_pb2.ClassifyResponse) -> Classifications:
    results = tuple(_classification(result) for result in reply.results)
    return Classifications(served(reply.served), timings(reply.timings), reply.head, results, _usage(reply.usage))


def ranking(reply: rerank_pb2.RerankResponse, documents: Sequence[str]) -> Ranking:
    ranked = tuple(RankedDocument(each.index, each.score, documents[each.index]) for each in reply.ranking)
    return Ranking(served(reply.served), timings(reply.timings), reply.method, ranked, _usage(reply.usage))


def prompt_tokens(reply: generate_pb2.GenerateServiceCountTokensResponse) -> PromptTokens:
    return PromptTokens(served(reply.served), reply.tokens)


def generation(reply: generate_pb2.GenerateResponse) -> Generation:
    usage = reply.usage
    return Generation(
        served(reply.served),
        timings(reply.timings),
        reply.text,
        word(generate_pb2.FinishReason, reply.finish_reason),
        GenerateUsage(usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens, usage.dropped_tokens),
        seconds(reply.first_token),
        seconds(reply.per_token),
        reply.tokens_per_second,
        _logprobs(reply.logprobs),
        tuple(ToolCall(call.id, call.name, call.arguments_json) for call in reply.tool_calls),
        reply.from_template,
        reply.cost_usd,
    )


class Chunks:
    """Reads the replies of one stream: the last brings the whole answer, joined here from what came before."""

    def __init__(self) -> None:
        self._text = ""
        self._logprobs: tuple[TokenLogprob, ...] = ()

    def __call__(self, reply: generate_pb2.GenerateStreamResponse) -> GenerationChunk:
        logprobs = _logprobs(reply.logprobs)
        self._text += reply.text
        self._logprobs += logprobs
        return GenerationChunk(reply.text, self._whole(reply) if reply.HasField("final") else None, logprobs)

    def _whole(self, reply: generate_pb2.GenerateStreamResponse) -> Generation:
        return replace(generation(reply.final), text=self._text, logprobs=self._logprobs)


def models(reply: mesh_pb2.ListModelsResponse | mesh_pb2.DescribeInstanceResponse) -> tuple[ModelInfo, ...]:
    return tuple(_model(model) for model in reply.models)


def changed_model(
    reply: mesh_pb2.LoadModelResponse | mesh_pb2.UnloadModelResponse | mesh_pb2.PinModelResponse,
) -> ModelInfo:
    return _model(reply.model)


def instance(reply: mesh_pb2.DescribeInstanceResponse) -> InstanceInfo:
    return InstanceInfo(reply.instance, reply.version, models(reply), reply.queue_depth, reply.queue_limit)


def instances(reply: mesh_pb2.ListInstancesResponse) -> tuple[InstanceStatus, ...]:
    return tuple(instance_status(each) for each in reply.instances)


def health(reply: health_pb2.HealthCheckResponse) -> str:
    return health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)


def seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos * 1e-9


def word(enum: Any, value: int) -> str:
    """`TIER_SIMPLE` as `"simple"`; a value newer than this client as its number."""
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    known = enum.DESCRIPTOR.values_by_number.get(value)
    return known.name.removeprefix(prefix).lower() if known else str(value)


def served(served: common_pb2.ServedBy) -> ServedBy:
    return ServedBy(served.model, served.version, served.instance)


def timings(timings: common_pb2.Timings) -> Timings:
    return Timings(*map(seconds, (timings.queue, timings.tokenize, timings.inference, timings.total)))


def _usage(usage: Sequence[common_pb2.TextUsage]) -> tuple[TextUsage, ...]:
    return tuple(TextUsage(each.tokens, each.truncated) for each in usage)


def _logprobs(tokens: Sequence[generate_pb2.TokenLogprob]) -> tuple[TokenLogprob, ...]:
    return tuple(TokenLogprob(each.token, each.text, each.logprob, _logprobs(each.top)) for each in tokens)


def _classification(result: classify_pb2.Classification) -> Classification:
    labels = tuple(LabelScore(each.label, each.score) for each in result.labels)
    return Classification(labels, result.out_of_scope, result.energy)


def _model(model: mesh_pb2.ModelInfo) -> ModelInfo:
    return ModelInfo(
        model.name,
        model.version,
        model.backend,
        tuple(word(mesh_pb2.Task, task) for task in model.tasks),
        tuple(model.tags),
        word(common_pb2.Tier, model.tier),
        model.dimensions,
        model.max_tokens,
        tuple(HeadInfo(head.name, tuple(head.labels), head.experimental) for head in model.heads),
        model.cost_per_1k_tokens_usd,
        model.quality,
        tuple(model.adapters),
        model.cost_per_1k_output_tokens_usd,
        model.slots,
        model.default_max_tokens,
        model.unloaded,
        model.pinned,
        model.hot,
    )


def instance_status(instance: mesh_pb2.InstanceStatus) -> InstanceStatus:
    return InstanceStatus(
        instance.instance,
        instance.address,
        word(mesh_pb2.InstanceState, instance.state),
        tuple(instance.models),
        tuple(instance.tags),
        instance.in_flight,
        instance.requests,
        instance.failures,
        seconds(instance.latency_ewma),
        seconds(instance.latency_p95),
        instance.success_rate,
        word(mesh_pb2.BreakerState, instance.breaker),
        instance.ejections,
        instance.drained,
    )
