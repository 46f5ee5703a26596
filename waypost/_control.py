"""Protobuf requests and replies of control: explain, budget, feedback, rollouts, models in service, tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Unpack

from google.protobuf.message import Message

from waypost import _fields as fields
from waypost._replies import seconds, word
from waypost._requests import Route, route
from waypost.control import (
    Budget,
    Explanation,
    InstanceCandidate,
    ModelCandidate,
    ModelSpend,
    NewToken,
    PolicyMatch,
    PromptFeatures,
    Rollout,
    RolloutArm,
    RolloutStatus,
    RouteHop,
    ScoreTerms,
    Token,
)
from waypost.v1 import common_pb2, mesh_pb2


class ExplainOptions(Route, total=False):
    """Keyword arguments of `explain`, beside the text.

    task: "generate", "embed", "classify" or "rerank".
    head: of classify, the label set.
    max_tokens: of generate, most tokens of the answer; 0 takes the model's default.
    """

    task: str
    model: str
    head: str
    max_tokens: int


def explain(
    text: str,
    *,
    task: str = "generate",
    model: str = "",
    head: str = "",
    max_tokens: int = 0,
    **hints: Unpack[Route],
) -> mesh_pb2.ExplainRequest:
    return mesh_pb2.ExplainRequest(
        model=fields.text("model", model),
        route=route(**hints),
        task=fields.enum("task", mesh_pb2.Task, task),
        text=fields.text("text", text),
        head=fields.text("head", head),
        max_tokens=fields.count("max_tokens", max_tokens),
    )


def get_budget(tenant: str) -> mesh_pb2.GetBudgetRequest:
    return mesh_pb2.GetBudgetRequest(tenant=fields.text("tenant", tenant))


def send_feedback(request_id: str, score: float) -> mesh_pb2.SendFeedbackRequest:
    return mesh_pb2.SendFeedbackRequest(
        request_id=fields.text("request_id", request_id), score=fields.share("score", score)
    )


def set_rollout(rollout: Rollout) -> mesh_pb2.SetRolloutRequest:
    return mesh_pb2.SetRolloutRequest(
        rollout=mesh_pb2.Rollout(
            name=fields.text("rollout.name", rollout.name),
            stable=fields.text("rollout.stable", rollout.stable),
            canary=fields.text("rollout.canary", rollout.canary),
            steps=[fields.share(f"rollout.steps[{i}]", step) for i, step in enumerate(rollout.steps)],
            step=fields.count("rollout.step", rollout.step),
            shadow_share=fields.share("rollout.shadow_share", rollout.shadow_share),
            step_limit=fields.duration("rollout.step_limit", rollout.step_limit),
            state=fields.enum("rollout.state", mesh_pb2.RolloutState, rollout.state),
            reason=fields.text("rollout.reason", rollout.reason),
            revision=fields.count("rollout.revision", rollout.revision, fields.UINT64),
        )
    )


def load_model(model: str) -> mesh_pb2.LoadModelRequest:
    return mesh_pb2.LoadModelRequest(model=fields.text("model", model))


def unload_model(model: str) -> mesh_pb2.UnloadModelRequest:
    return mesh_pb2.UnloadModelRequest(model=fields.text("model", model))


def create_token(tenant: str, role: str, note: str, lifetime: float | None) -> mesh_pb2.CreateTokenRequest:
    return mesh_pb2.CreateTokenRequest(
        tenant=fields.text("tenant", tenant),
        role=fields.enum("role", mesh_pb2.Role, role),
        note=fields.text("note", note),
        lifetime=None if lifetime is None else fields.duration("lifetime", lifetime),
    )


def revoke_token(id: str) -> mesh_pb2.RevokeTokenRequest:
    return mesh_pb2.RevokeTokenRequest(id=fields.text("id", id))


def explanation(reply: mesh_pb2.ExplainResponse) -> Explanation:
    return Explanation(
        reply.route,
        _features(reply.features),
        tuple(_model(each) for each in reply.models),
        tuple(RouteHop(each.model, each.reason) for each in reply.hops),
        tuple(_instance(each) for each in reply.instances),
        reply.cost_usd,
        reply.error,
        PolicyMatch(reply.policy.id, reply.policy.cosine) if reply.HasField("policy") else None,
    )


def _features(features: mesh_pb2.PromptFeatures) -> PromptFeatures:
    return PromptFeatures(
        features.complexity,
        features.quantile,
        word(common_pb2.Tier, features.tier),
        features.confidence,
        features.coverage,
        features.tier_reason,
        tuple(features.tags),
        features.guard,
        features.guard_score,
    )


def _model(model: mesh_pb2.ModelCandidate) -> ModelCandidate:
    tier = word(common_pb2.Tier, model.tier)
    return ModelCandidate(model.model, tier, model.score, _terms(model.terms), model.excluded)


def _instance(each: mesh_pb2.InstanceCandidate) -> InstanceCandidate:
    return InstanceCandidate(
        each.instance, each.score, _terms(each.terms), each.in_flight, each.admitted, each.propensity
    )


def _terms(terms: mesh_pb2.ScoreTerms) -> ScoreTerms:
    return ScoreTerms(terms.latency, terms.queue, terms.fit, terms.health, terms.feedback)


def budget(reply: mesh_pb2.GetBudgetResponse) -> Budget:
    return Budget(
        reply.month,
        _optional(reply, "cap_usd"),
        reply.spent_usd,
        reply.reserved_usd,
        _optional(reply, "remaining_usd"),
        tuple(ModelSpend(each.model, each.calls, each.spent_usd) for each in reply.models),
    )


def judged_model(reply: mesh_pb2.SendFeedbackResponse) -> str:
    return reply.model


def rollouts(reply: mesh_pb2.ListRolloutsResponse) -> tuple[RolloutStatus, ...]:
    return tuple(RolloutStatus(_rollout(each.rollout), _arm(each.stable), _arm(each.canary)) for each in reply.rollouts)


def changed_rollout(reply: mesh_pb2.SetRolloutResponse) -> Rollout:
    return _rollout(reply.rollout)


def _rollout(rollout: mesh_pb2.Rollout) -> Rollout:
    return Rollout(
        rollout.name,
        rollout.stable,
        rollout.canary,
        tuple(rollout.steps),
        rollout.step,
        rollout.shadow_share,
        seconds(rollout.step_limit),
        word(mesh_pb2.RolloutState, rollout.state),
        rollout.reason,
        rollout.revision,
    )


def _arm(arm: mesh_pb2.RolloutArm) -> RolloutArm:
    return RolloutArm(
        arm.calls,
        arm.errors,
        seconds(arm.latency_p50),
        seconds(arm.latency_p95),
        _optional(arm, "quality"),
        _optional(arm, "feedback"),
    )


def tokens(reply: mesh_pb2.ListTokensResponse) -> tuple[Token, ...]:
    return tuple(_token(each) for each in reply.tokens)


def new_token(reply: mesh_pb2.CreateTokenResponse) -> NewToken:
    return NewToken(_token(reply.token), reply.secret)


def revoked_token(reply: mesh_pb2.RevokeTokenResponse) -> Token:
    return _token(reply.token)


def _token(token: mesh_pb2.Token) -> Token:
    return Token(
        token.id,
        token.tenant,
        word(mesh_pb2.Role, token.role),
        token.note,
        token.created.ToDatetime(UTC),
        _moment(token, "expires"),
        _moment(token, "revoked"),
    )


def _moment(token: mesh_pb2.Token, field: str) -> datetime | None:
    found = _optional(token, field)
    return None if found is None else found.ToDatetime(UTC)


def _optional(message: Message, field: str) -> Any:
    return getattr(message, field) if message.HasField(field) else None
