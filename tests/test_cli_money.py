"""`waypost budget` and `waypost feedback` against a fake mesh."""

from __future__ import annotations

from typing import Any

import pytest

from tests.commands import Run
from waypost.v1 import mesh_pb2


def test_a_budget_shows_what_is_spent_and_left(run: Run, mesh: Any) -> None:
    """Of a tenant, with what each model came to."""
    spend = mesh_pb2.ModelSpend(model="big", calls=20412, spent_usd=12.345678)
    mesh.answers["GetBudget"] = lambda request, context: mesh_pb2.GetBudgetResponse(
        month="2026-11", cap_usd=200, spent_usd=12.345678, reserved_usd=0.5, remaining_usd=187.154322, models=[spend]
    )
    shown = run("budget", "--tenant", "acme", "--address", mesh.address).out
    assert mesh.requests[0].tenant == "acme"
    for words in ("2026-11, acme", "12.345678 USD", "0.50 USD, for calls", "187.154322 USD of 200.00 USD", "20,412"):
        assert words in shown


def test_no_limit_is_said_as_such(run: Run, mesh: Any) -> None:
    """And is null in JSON."""
    mesh.answers["GetBudget"] = lambda request, context: mesh_pb2.GetBudgetResponse(month="2026-11")
    assert "limit     none" in run("budget", "--address", mesh.address).out
    assert run("budget", "--json", "--address", mesh.address).json["cap_usd"] is None


def test_feedback_names_the_model_it_is_noted_for(run: Run, mesh: Any) -> None:
    """By the request's id."""
    mesh.answers["SendFeedback"] = lambda request, context: mesh_pb2.SendFeedbackResponse(model="big")
    assert run("feedback", "7f3c", "0.5", "--address", mesh.address).out == "noted for big\n"
    assert mesh.requests == [mesh_pb2.SendFeedbackRequest(request_id="7f3c", score=0.5)]


@pytest.mark.parametrize("score", ["2", "good"])
def test_a_score_that_is_none_is_wrong_usage(run: Run, mesh: Any, score: str) -> None:
    """Exit code 2, and nothing is sent."""
    assert run("feedback", "7f3c", score, "--address", mesh.address).code == 2
    assert not mesh.requests
