"""Policies by example in a whole mesh: documents that are stored decide over the next prompts, and the log knows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, Select, select

import waypost
from tests import libraries
from tests.gateway import Up
from tests.plane import eventually
from tests.stores import empty
from waypost.database.tables import feedback, model_inferences, models
from waypost.documents import Document

MORE = """
[router.policies]
model = "documents"
threshold = 0.7
timeout_s = 5.0

[router.store]
enabled = true

[[workers]]
name = "canned"

[[workers.models]]
name = "plain"
backend = "template"
source = "./plain.j2"
quality = 0.9

[[workers.models]]
name = "special"
backend = "template"
source = "./special.j2"
quality = 0.1
"""
POLICIES = (
    Document("hours", "when are you open on saturdays", {"answer": "From nine to five."}),
    Document("law", "review this contract for legal risks", {"route_model": "special"}),
    Document("pills", "how many of these pills may i take", {"guard": "block", "reason": "no medical advice"}),
)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """With the policies stored."""
    folder = tmp_path_factory.mktemp("policies")
    for name in ("plain", "special"):
        (folder / f"{name}.j2").write_text(f"{name} says nothing")
    with Up(folder, libraries.mesh() + MORE) as up:
        with waypost.Client(up.ready["grpc"], timeout=30.0) as client:
            client.upsert(POLICIES, namespace="policies")
        yield up


@pytest.fixture
def client(up: Up) -> Iterator[waypost.Client]:
    """A client of it."""
    with waypost.Client(up.ready["grpc"], timeout=30.0) as client:
        yield client


def test_documents_decide_over_prompts(client: waypost.Client) -> None:
    """By an answer, a model, or a refusal; what is near to none goes on as ever."""
    hours = client.generate("when are you open on saturdays")
    assert (hours.text, hours.from_template, hours.routing.policy) == ("From nine to five.", True, "hours")
    law = client.generate("review this contract for legal risks")
    assert (law.text, law.routing.policy, law.routing.model) == ("special says nothing", "law", "special")
    with pytest.raises(waypost.errors.Denied, match="no medical advice"):
        client.generate("how many of these pills may i take")
    other = client.generate("write a poem about the sea")
    assert (other.text, other.routing.policy) == ("plain says nothing", "")


def test_what_a_policy_will_do_is_told_beforehand(client: waypost.Client) -> None:
    """With how near the prompt is."""
    told = client.explain("when are you open on saturdays")
    assert told.policy and (told.policy.id, told.hops) == ("hours", ())
    assert told.policy.cosine > 0.99
    assert client.explain("write a poem about the sea").policy is None


def test_a_policy_holds_from_the_moment_it_is_stored_until_it_is_deleted(client: waypost.Client) -> None:
    """For every prompt that is sent afterwards."""
    asked = "what is the meaning of life"
    assert client.generate(asked).routing.policy == ""
    client.upsert([Document("life", asked, {"answer": "42"})], namespace="policies")
    assert client.generate(asked).text == "42"
    client.delete(["life"], namespace="policies")
    assert client.generate(asked).routing.policy == ""


def test_opinions_and_versions_are_in_the_log_of_calls(up: Up, client: waypost.Client) -> None:
    """A row of each, without texts being kept."""
    answer = client.generate("write a poem about the sea")
    asked = answer.routing.request_id
    client.feedback(asked, 0.25)
    with empty(f"sqlite:{up.env['WAYPOST_HOME']}/store.db") as engine:
        given = select(feedback.c.request_id, feedback.c.model, feedback.c.score)
        assert eventually(lambda: rows(engine, given)) == [(asked, "plain", 0.25)]
        called = select(model_inferences.c.model, model_inferences.c.version, model_inferences.c.prompt_tokens)
        (call,) = eventually(lambda: rows(engine, called.where(model_inferences.c.request_id == asked)))
        assert call == ("plain", answer.served.version, answer.usage.prompt_tokens)
        assert call[:2] in eventually(lambda: rows(engine, select(models.c.name, models.c.version)))


def rows(engine: Engine, query: Select[Any]) -> list[tuple[Any, ...]]:
    """As they are now."""
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query)]
