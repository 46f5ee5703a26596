"""Aliases, slices and shadows of a model that is being replaced, and what callers think of answers."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import grpc
import pytest

from services.refusal import ModelFailed
from tests.author import Author, authors
from tests.plane import Node, Plane, eventually, hints
from tests.test_hops import answer, ask, refuse
from waypost.v1 import generate_pb2, mesh_pb2, mesh_pb2_grpc

Code = grpc.StatusCode


def mesh(node: Node) -> mesh_pb2_grpc.MeshServiceStub:
    return mesh_pb2_grpc.MeshServiceStub(node.channel)


def begin(node: Node, share: float = 0.3, **fields: Any) -> mesh_pb2.Rollout:
    rollout = mesh_pb2.Rollout(name="writer", stable="old", canary="new", steps=[share, 1.0], **fields)
    return mesh(node).SetRollout(mesh_pb2.SetRolloutRequest(rollout=rollout)).rollout


@pytest.fixture
def old_and_new(plane: Plane):
    old, new = plane.writer("old", slots=64), plane.writer("new", slots=64)
    with authors(old, new) as written:
        yield plane.router(plane.worker(old, name="a"), plane.worker(new, name="b")), *written


def status(node: Node) -> dict[str, Any]:
    (found,) = json.loads(node.core.rollouts())
    return found


def test_each_side_can_be_asked_for(old_and_new: tuple[Node, Author, Author]) -> None:
    router, *_ = old_and_new
    begin(router)
    assert [answer(router, ask(model=f"writer@{side}"))[0] for side in ("stable", "canary")] == ["by old", "by new"]
    assert router.failure(ask(model="writer@beta")).code == Code.NOT_FOUND


def test_the_canary_gets_its_share_and_sessions_stay(old_and_new: tuple[Node, Author, Author]) -> None:
    """Raising the share moves sessions to the canary and none back."""
    router, *_ = old_and_new
    first = begin(router)

    def sides() -> dict[str, str]:
        calls = {f"s{n}": router.start(ask(model="writer", route=hints(session=f"s{n}"))) for n in range(60)}
        return {session: call.result().text for session, call in calls.items()}

    before = sides()
    assert 5 <= Counter(before.values())["by new"] <= 35
    assert sides() == before
    first.step = 1
    mesh(router).SetRollout(mesh_pb2.SetRolloutRequest(rollout=first))
    assert set(sides().values()) == {"by new"}


def test_a_canary_that_fails_is_counted_and_not_felt(old_and_new: tuple[Node, Author, Author]) -> None:
    router, _, new = old_and_new
    begin(router, 0.5)
    new.write = refuse(ModelFailed("broken"))
    for _ in range(120):
        assert answer(router, ask(model="writer"))[0] == "by old"
    shown = status(router)
    assert shown["canary"]["errors"] == shown["canary"]["calls"] > 5
    assert shown["stable"]["errors"] == 0


def test_only_one_of_two_changes_at_once_is_made(old_and_new: tuple[Node, Author, Author]) -> None:
    router, *_ = old_and_new
    seen = begin(router)
    seen.state = mesh_pb2.ROLLOUT_STATE_ROLLED_BACK
    mesh(router).SetRollout(mesh_pb2.SetRolloutRequest(rollout=seen))
    with pytest.raises(grpc.RpcError) as caught:
        mesh(router).SetRollout(mesh_pb2.SetRolloutRequest(rollout=seen))
    assert caught.value.code() == Code.ABORTED
    with pytest.raises(ValueError, match="read it again"):
        router.core.set_rollout(json.dumps(status(router)["rollout"] | {"revision": 1}))
    assert answer(router, ask(model="writer"))[0] == "by old"


def test_what_cannot_be_meant_is_refused(old_and_new: tuple[Node, Author, Author]) -> None:
    router, *_ = old_and_new
    for wrong in ({"share": 1.5}, {"share": -0.1}, {"shadow_share": 2.0}):
        with pytest.raises(grpc.RpcError) as caught:
            begin(router, **wrong)
        assert caught.value.code() == Code.INVALID_ARGUMENT


def test_a_change_reaches_the_other_routers_of_a_store(plane: Plane) -> None:
    """And what the sides have shown is the sum of what all routers saw."""
    old, new = plane.writer("old", slots=64), plane.writer("new", slots=64)
    budget = {"store": f"sqlite:{plane.folder}/ledger.db"}
    with authors(old, new):
        workers = plane.worker(old, name="a"), plane.worker(new, name="b")
        one = plane.router(*workers, budget=budget)
        two = plane.router(*workers, budget=budget, listen=f"unix:{plane.folder}/two.sock")
        begin(one, 0.5)
        eventually(lambda: json.loads(two.core.rollouts()))
        for router in (one, two):
            for _ in range(60):
                answer(router, ask(model="writer"))
        counted = lambda node: status(node)["stable"]["calls"] + status(node)["canary"]["calls"]  # noqa: E731
        own = counted(one)
        eventually(lambda: counted(one) > own and counted(one) == counted(two))


def test_a_shadow_s_answer_is_kept_and_not_returned(old_and_new: tuple[Node, Author, Author]) -> None:
    router, *_ = old_and_new
    begin(router, 0.000001, shadow_share=1.0)
    text, trailers = answer(router, ask(model="writer"))
    assert text == "by old"
    (pair,) = eventually(lambda: router.core.next_shadows(10, 0.0))
    replies = [generate_pb2.GenerateResponse.FromString(pair[side]).text for side in ("stable", "canary")]
    assert replies == ["by old", "by new"]
    assert (pair["stable_model"], pair["canary_model"]) == ("old", "new")
    assert pair["request_id"] == trailers["waypost-request-id"]


def test_feedback_moves_the_quality_of_who_answered(old_and_new: tuple[Node, Author, Author]) -> None:
    """Once per answer; the model that is praised scores higher from then on."""
    router, *_ = old_and_new
    begin(router, 1.0)
    _, trailers = answer(router, ask(model="writer"))
    sent = mesh_pb2.SendFeedbackRequest(request_id=trailers["waypost-request-id"], score=1.0)
    assert mesh(router).SendFeedback(sent).model == "new"
    assert status(router)["canary"]["feedback"]["n"] == 1
    with pytest.raises(grpc.RpcError) as caught:
        mesh(router).SendFeedback(sent)
    assert caught.value.code() == Code.NOT_FOUND


def test_explain_says_where_a_call_would_go_and_counts_nothing(old_and_new: tuple[Node, Author, Author]) -> None:
    router, old, new = old_and_new
    request = mesh_pb2.ExplainRequest(task=mesh_pb2.TASK_GENERATE, text="Write a function in Python that sorts a list.")
    explained = [mesh(router).Explain(request) for _ in range(2)]
    assert explained[0] == explained[1]
    first = explained[0]
    assert {hop.model for hop in first.hops} == {"old", "new"}
    assert (len(first.models), len(first.instances)) == (2, 1)
    assert sum(each.propensity for each in first.instances) == pytest.approx(1.0)
    assert "code" in first.features.tags
    assert (old.asked, new.asked, router.core.next_events(10, 0.0)) == ([], [], [])


def test_explain_says_what_speaks_against_a_model(old_and_new: tuple[Node, Author, Author]) -> None:
    router, *_ = old_and_new
    request = mesh_pb2.ExplainRequest(text="Hi", route=hints(required_tags=["vision"]))
    explained = mesh(router).Explain(request)
    assert "vision" in explained.error and not explained.hops
    assert all("vision" in each.excluded for each in explained.models)
