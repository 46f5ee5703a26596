"""The calls that look at the mesh's decisions and change them, against a server of the same contract."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import ErrorInfo

from tests.fake_mesh import FakeMesh
from waypost import errors
from waypost.control import (
    Budget,
    Explanation,
    InstanceCandidate,
    ModelCandidate,
    ModelSpend,
    NewToken,
    PromptFeatures,
    Rollout,
    RolloutArm,
    RouteHop,
    ScoreTerms,
    Token,
)
from waypost.v1 import common_pb2, mesh_pb2

ROLLOUT = mesh_pb2.Rollout(
    name="writer",
    stable="small",
    canary="large",
    steps=[0.25, 1.0],
    step=1,
    shadow_share=0.5,
    step_limit=Duration(seconds=90, nanos=500_000_000),
    state=mesh_pb2.ROLLOUT_STATE_RUNNING,
    reason="step 2 of 2",
    revision=7,
)
READ = Rollout("writer", "small", "large", (0.25, 1.0), 1, 0.5, 90.5, "running", "step 2 of 2", 7)


def test_an_explanation_has_features_models_hops_and_instances(mesh: FakeMesh, client: Any) -> None:
    """Everything the router says, as plain values."""
    terms = mesh_pb2.ScoreTerms(latency=0.5, queue=1, fit=0.25, health=1, feedback=0.75)
    mesh.answers["Explain"] = lambda request, context: mesh_pb2.ExplainResponse(
        route="default",
        features=mesh_pb2.PromptFeatures(
            complexity=0.5, quantile=0.75, tier=common_pb2.TIER_HIGH, confidence=0.25, tier_reason="head", tags=["code"]
        ),
        models=[mesh_pb2.ModelCandidate(model="a", tier=common_pb2.TIER_HIGH, score=0.5, terms=terms, excluded="full")],
        hops=[mesh_pb2.RouteHop(model="b", reason="tier")],
        instances=[mesh_pb2.InstanceCandidate(instance="b-0", score=1, terms=terms, admitted=True, propensity=0.5)],
        cost_usd=0.125,
    )
    read = ScoreTerms(0.5, 1.0, 0.25, 1.0, 0.75)
    assert client.explain("sort a list") == Explanation(
        route="default",
        features=PromptFeatures(0.5, 0.75, "high", 0.25, 0.0, "head", ("code",), "", 0.0),
        models=(ModelCandidate("a", "high", 0.5, read, "full"),),
        hops=(RouteHop("b", "tier"),),
        instances=(InstanceCandidate("b-0", 1.0, read, 0, True, 0.5),),
        cost_usd=0.125,
        error="",
    )


def test_an_explanation_is_of_the_call_that_is_meant(mesh: FakeMesh, client: Any) -> None:
    """Task, model, head, length and hints."""
    mesh.answers["Explain"] = lambda request, context: mesh_pb2.ExplainResponse()
    client.explain("hello")
    client.explain("hi", task="classify", model="minilm", head="intent", max_tokens=9, tier="high", tags=["classify"])
    assert mesh.requests == [
        mesh_pb2.ExplainRequest(text="hello", task=mesh_pb2.TASK_GENERATE),
        mesh_pb2.ExplainRequest(
            text="hi",
            task=mesh_pb2.TASK_CLASSIFY,
            model="minilm",
            head="intent",
            max_tokens=9,
            route=common_pb2.RouteHints(tier=common_pb2.TIER_HIGH, required_tags=["classify"]),
        ),
    ]


def test_a_budget_without_a_limit_has_none(mesh: FakeMesh, client: Any) -> None:
    """None, and not 0, which would be everything spent."""
    spend = mesh_pb2.ModelSpend(model="gpt", calls=3, spent_usd=1.5)
    mesh.answers["GetBudget"] = lambda request, context: mesh_pb2.GetBudgetResponse(
        month="2026-11",
        spent_usd=1.5,
        reserved_usd=0.25,
        models=[spend],
        **({"cap_usd": 5.0, "remaining_usd": 0.0} if request.tenant else {}),
    )
    assert client.budget() == Budget("2026-11", None, 1.5, 0.25, None, (ModelSpend("gpt", 3, 1.5),))
    limited = client.budget("acme")
    assert (limited.cap_usd, limited.remaining_usd) == (5.0, 0.0)


def test_feedback_says_whose_it_is(mesh: FakeMesh, client: Any) -> None:
    """The model of the answer."""
    mesh.answers["SendFeedback"] = lambda request, context: mesh_pb2.SendFeedbackResponse(model="writer")
    assert client.feedback("7f3c", 1) == "writer"
    assert mesh.requests == [mesh_pb2.SendFeedbackRequest(request_id="7f3c", score=1.0)]


def test_rollouts_come_with_what_both_sides_have_shown(mesh: FakeMesh, client: Any) -> None:
    """None where nothing was judged."""
    stable = mesh_pb2.RolloutArm(calls=90, errors=1, latency_p50=Duration(nanos=250_000_000), quality=0.5)
    mesh.answers["ListRollouts"] = lambda request, context: mesh_pb2.ListRolloutsResponse(
        rollouts=[mesh_pb2.RolloutStatus(rollout=ROLLOUT, stable=stable)]
    )
    (found,) = client.rollouts()
    assert found.rollout == READ
    assert found.stable == RolloutArm(90, 1, 0.25, 0.0, 0.5, None)
    assert found.canary == RolloutArm(0, 0, 0.0, 0.0, None, None)


def test_what_was_read_can_be_set_again(mesh: FakeMesh, client: Any) -> None:
    """A change is the rollout as it was, with its revision, and something replaced."""
    mesh.answers["SetRollout"] = lambda request, context: mesh_pb2.SetRolloutResponse(rollout=request.rollout)
    assert client.set_rollout(READ) == READ
    assert mesh.requests[0].rollout == ROLLOUT
    assert client.set_rollout(replace(READ, state="promoted")).state == "promoted"


def test_a_new_rollout_has_sensible_steps_and_no_revision(mesh: FakeMesh, client: Any) -> None:
    """Revision 0: there is none of that name."""
    mesh.answers["SetRollout"] = lambda request, context: mesh_pb2.SetRolloutResponse(rollout=request.rollout)
    started = client.set_rollout(Rollout("writer", stable="small", canary="large"))
    assert (started.steps, started.step, started.state, started.revision) == ((0.1, 0.3, 0.8), 0, "running", 0)


def test_a_change_that_comes_too_late_is_a_conflict(mesh: FakeMesh, client: Any, fail: Any) -> None:
    """And is not tried again by itself."""
    reason = ErrorInfo(reason="ERROR_REASON_CHANGED_MEANWHILE", metadata={"name": "writer", "revision": "8"})
    mesh.answers["SetRollout"] = fail(grpc.StatusCode.ABORTED, "writer is at revision 8", reason)
    with pytest.raises(errors.Conflict) as caught:
        client.set_rollout(READ)
    assert caught.value.metadata["revision"] == "8"
    assert len(mesh.requests) == 1


MADE = datetime(2026, 11, 22, 0, 0, 1, tzinfo=UTC)
TOKEN = mesh_pb2.Token(
    id="1f0c9a2e",
    tenant="acme",
    role=mesh_pb2.ROLE_OPERATE,
    note="ci",
    created=Timestamp(seconds=int(MADE.timestamp())),
)
READ_TOKEN = Token("1f0c9a2e", "acme", "operate", "ci", MADE, None, None)


def test_a_new_token_has_its_secret_and_does_not_show_it(mesh: FakeMesh, client: Any) -> None:
    """What is printed or logged by mistake is without it."""
    mesh.answers["CreateToken"] = lambda request, context: mesh_pb2.CreateTokenResponse(token=TOKEN, secret="wp_s3cret")
    made = client.create_token("acme", role="operate", note="ci", lifetime=90.5)
    assert made == NewToken(READ_TOKEN, "wp_s3cret")
    assert "s3cret" not in repr(made)
    assert mesh.requests == [
        mesh_pb2.CreateTokenRequest(
            tenant="acme",
            role=mesh_pb2.ROLE_OPERATE,
            note="ci",
            lifetime=Duration(seconds=90, nanos=500_000_000),
        )
    ]


def test_a_token_that_is_asked_for_without_words_may_ask_models_until_it_is_revoked(
    mesh: FakeMesh, client: Any
) -> None:
    """Of nobody in particular."""
    mesh.answers["CreateToken"] = lambda request, context: mesh_pb2.CreateTokenResponse(token=TOKEN)
    client.create_token()
    assert mesh.requests == [mesh_pb2.CreateTokenRequest(role=mesh_pb2.ROLE_INFER)]


def test_tokens_say_when_they_end(mesh: FakeMesh, client: Any) -> None:
    """In UTC; None where they do not."""
    ended = mesh_pb2.Token(id="1", expires=Timestamp(seconds=1), revoked=Timestamp(seconds=2))
    mesh.answers["ListTokens"] = lambda request, context: mesh_pb2.ListTokensResponse(tokens=[TOKEN, ended])
    first, second = client.tokens()
    assert first == READ_TOKEN
    assert (second.expires, second.revoked) == (datetime.fromtimestamp(1, UTC), datetime.fromtimestamp(2, UTC))


def test_a_token_is_revoked_by_its_public_part(mesh: FakeMesh, client: Any) -> None:
    """And is returned as it is then."""
    mesh.answers["RevokeToken"] = lambda request, context: mesh_pb2.RevokeTokenResponse(token=TOKEN)
    assert client.revoke_token("1f0c9a2e") == READ_TOKEN
    assert mesh.requests == [mesh_pb2.RevokeTokenRequest(id="1f0c9a2e")]


def test_models_leave_the_service_and_come_back(mesh: FakeMesh, client: Any) -> None:
    """As they are then."""
    gone = mesh_pb2.ModelInfo(name="big", unloaded=True)
    mesh.answers["UnloadModel"] = lambda request, context: mesh_pb2.UnloadModelResponse(model=gone)
    mesh.answers["LoadModel"] = lambda request, context: mesh_pb2.LoadModelResponse(
        model=mesh_pb2.ModelInfo(name="big")
    )
    assert client.unload_model("big").unloaded
    assert not client.load_model("big").unloaded
    assert [request.model for request in mesh.requests] == ["big", "big"]
