"""`waypost route` against a fake mesh."""

from __future__ import annotations

from typing import Any

from tests.commands import Run
from waypost.v1 import common_pb2, mesh_pb2

TERMS = mesh_pb2.ScoreTerms(latency=0.5, queue=1, fit=1, health=1, feedback=0.5)
FEATURES = mesh_pb2.PromptFeatures(
    complexity=0.83,
    quantile=0.91,
    tier=common_pb2.TIER_HIGH,
    confidence=0.72,
    coverage=0.4,
    tier_reason="head",
    tags=["code"],
    guard="jailbreak",
    guard_score=0.93,
)
EXPLAINED = mesh_pb2.ExplainResponse(
    route="default",
    features=FEATURES,
    hops=[mesh_pb2.RouteHop(model="big", reason="tier"), mesh_pb2.RouteHop(model="sorry", reason="last")],
    models=[
        mesh_pb2.ModelCandidate(model="big", tier=common_pb2.TIER_HIGH, score=0.812, terms=TERMS),
        mesh_pb2.ModelCandidate(model="small", tier=common_pb2.TIER_SIMPLE, excluded="lacks the tag [code]"),
    ],
    instances=[
        mesh_pb2.InstanceCandidate(instance="hosted-0", terms=TERMS, in_flight=3, admitted=True, propensity=0.75),
        mesh_pb2.InstanceCandidate(instance="hosted-1", terms=TERMS, propensity=0.25),
    ],
    cost_usd=0.00125,
)


def test_it_shows_features_hops_models_and_instances(run: Run, mesh: Any) -> None:
    """What is read in the prompt in words, the rest as tables."""
    mesh.answers["Explain"] = lambda request, context: EXPLAINED
    shown = run("route", "sort a list", "--address", mesh.address).out
    for words in (
        "high, by the head's score of it",
        "0.83, above 91 % of late",
        "calls for  code",
        "jailbreak 0.93",
        "route      default",
        "0.812",
        "may answer",
        "lacks the tag [code]",
        "0.75",
        "at most 0.00125 USD",
    ):
        assert words in shown


def test_a_policy_that_decides_is_named(run: Run, mesh: Any) -> None:
    """With how near it is; where it has the answer itself no model is shown."""
    policy = mesh_pb2.PolicyMatch(id="hours", cosine=0.914)
    mesh.answers["Explain"] = lambda request, context: mesh_pb2.ExplainResponse(policy=policy)
    shown = run("route", "when are you open?", "--address", mesh.address).out
    assert "policy     hours, 0.91 near, which has the answer" in shown


def test_its_options_are_those_of_the_call(run: Run, mesh: Any) -> None:
    """And the prompt may come from standard input."""
    mesh.answers["Explain"] = lambda request, context: mesh_pb2.ExplainResponse()
    options = ("--task", "classify", "--model", "m", "--head", "intent", "--tier", "high", "--tag", "a", "--tag", "b")
    run("route", "-", *options, "--tenant", "acme", "--max-cost", "0.5", "--address", mesh.address, stdin="hello")
    (sent,) = mesh.requests
    assert (sent.text, sent.task, sent.model, sent.head) == ("hello", mesh_pb2.TASK_CLASSIFY, "m", "intent")
    assert (list(sent.route.required_tags), sent.route.tier) == (["a", "b"], common_pb2.TIER_HIGH)
    assert (sent.route.tenant, sent.route.max_cost_usd) == ("acme", 0.5)


def test_json_has_every_figure(run: Run, mesh: Any) -> None:
    """As the client's dataclass has it."""
    mesh.answers["Explain"] = lambda request, context: EXPLAINED
    found = run("route", "x", "--json", "--address", mesh.address).json
    assert found["hops"][0] == {"model": "big", "reason": "tier"}
    assert found["features"]["quantile"] == 0.91
    assert found["instances"][1]["admitted"] is False


def test_a_call_that_would_fail_says_so(run: Run, mesh: Any) -> None:
    """As an answer, not as an error: that was the question; without empty tables."""
    mesh.answers["Explain"] = lambda request, context: mesh_pb2.ExplainResponse(error="no model has the tags [x]")
    done = run("route", "x", "--address", mesh.address)
    assert done.code == 0
    assert done.out == "it would fail: no model has the tags [x]\n"
