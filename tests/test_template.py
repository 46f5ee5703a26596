"""Answers from templates: deterministic, in a sandbox, marked as such."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from services import template
from services.backend import ModelUnusable
from tests.inbox import FakeInbox, answering, chat, raw
from waypost.config import Model
from waypost.v1.generate_pb2 import TOOL_CHOICE_REQUIRED, ChatMessage, Tool

Start = Callable[[str], FakeInbox]


def model(source: str | None, **fields: Any) -> Model:
    return Model(name="canned", backend="template", source=source, **fields)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a template; it ends with the test."""
    with ExitStack() as exits:

        def started(text: str) -> FakeInbox:
            (tmp_path / "reply.j2").write_text(text)
            return exits.enter_context(answering(template.load(model(f"{tmp_path}/reply.j2"), sessions=1)))

        yield started


def test_without_a_file_it_says_that_no_model_can_answer() -> None:
    """The built-in text."""
    with answering(template.load(model(None), sessions=1)) as inbox:
        job = inbox.ask(chat("Hello"))
    assert job.text == template.BUILT_IN
    assert (job.reason, job.final["from_template"]) == ("stop", True)


def test_a_template_sees_the_request(start: Start) -> None:
    """Messages, the last of the user, the system's, the tools, the schema."""
    text = "{{ system }}|{{ prompt }}|{{ messages | length }}|{{ tools | join }}|{{ json_schema is none }}"
    request = chat("first", "second", tools=[Tool(name="f")])
    request.chat.messages.insert(0, ChatMessage(role="system", content="Be brief."))
    assert start(text).ask(request).text == "Be brief.|second|3|f|True"


def test_a_raw_prompt_is_the_prompt(start: Start) -> None:
    """Without messages."""
    assert start("{{ prompt }}{{ messages }}{{ system }}").ask(raw("Once")).text == "Once[]"


def test_what_a_caller_writes_is_never_a_template(start: Start) -> None:
    """Braces come out as they went in."""
    assert start("You said: {{ prompt }}").ask(chat("{{ 7 * 7 }}")).text == "You said: {{ 7 * 7 }}"


def test_a_template_may_include_others_of_its_folder(start: Start, tmp_path: Path) -> None:
    """For what several share."""
    (tmp_path / "greeting.j2").write_text("Hello, ")
    assert start('{% include "greeting.j2" %}{{ prompt }}').ask(chat("you")).text == "Hello, you"


def test_an_answer_satisfies_the_schema_or_is_refused(start: Start) -> None:
    """The template may look at `json_schema`."""
    schema = json.dumps({"type": "object", "required": ["a"]})
    assert start('{"a": 1}').ask(chat("x", json_schema=schema)).text == '{"a": 1}'
    assert start("{}").ask(chat("x", json_schema=schema)).refusal["kind"] == "not_capable"


@pytest.mark.parametrize(
    ("request_", "text", "reason"),
    [
        (chat("x", stop=["four", "two"]), "one ", "stop"),
        (chat("x", max_tokens=1), "one ", "length"),
        (chat("x", max_tokens=9), "one two three four", "stop"),
    ],
)
def test_an_answer_ends_where_a_models_would(start: Start, request_: Any, text: str, reason: str) -> None:
    """At a stop string, or at `max_tokens` of four bytes."""
    job = start("one two three four").ask(request_)
    assert (job.text, job.reason) == (text, reason)


def test_no_character_is_cut_in_two(start: Start) -> None:
    """Four bytes are one and a half of these."""
    assert start("日本語").ask(chat("x", max_tokens=1)).text == "日"


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (chat("x", grammar='root ::= "a"'), "not_capable"),
        (chat("x", top_logprobs=1), "not_capable"),
        (chat("x", tools=[Tool(name="f")], tool_choice=TOOL_CHOICE_REQUIRED), "not_capable"),
        (chat("x", adapter="poet"), "adapter_not_found"),
        (chat("x", json_schema="{"), "invalid_field"),
    ],
)
def test_what_takes_a_model_is_refused(start: Start, request_: Any, kind: str) -> None:
    """Nothing is left out in silence."""
    assert start("x").ask(request_).refusal["kind"] == kind


def test_tokens_are_not_counted(start: Start) -> None:
    """There are none."""
    assert start("x").ask(chat("x"), kind="count").refusal["kind"] == "not_capable"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("one\n{% if %}", "reply.j2, line 2: "),
        ("{{ promt }}", "uses promt: a template sees messages, prompt"),
        (None, "cannot be read"),
    ],
)
def test_a_broken_template_is_found_out_at_the_start(tmp_path: Path, text: str | None, words: str) -> None:
    """File, line, and what is wrong."""
    path = tmp_path / "reply.j2"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ModelUnusable, match=words):
        template.load(model(str(path)), sessions=1)


@pytest.mark.parametrize(
    "text",
    [
        "{{ messages[0].nothing }}",
        "{{ messages.append(1) }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ 1 / 0 }}",
        "{% for i in range(999999999) %}x{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    ],
)
def test_what_a_template_may_not_do_fails_the_call_and_no_more(start: Start, text: str) -> None:
    """The sandbox, and every other error; the next call is answered."""
    inbox = start(text)
    refusals = [inbox.ask(chat("x")).refusal for _ in range(2)]
    assert [refusal["kind"] for refusal in refusals] == ["model_failed"] * 2


def test_the_version_follows_the_text(tmp_path: Path) -> None:
    """Two workers with the same template have the same version."""
    for name, text in (("a.j2", "same"), ("b.j2", "same"), ("c.j2", "other")):
        (tmp_path / name).write_text(text)
    versions = [template.load(model(f"{tmp_path}/{name}.j2"), sessions=1).version for name in "abc"]
    assert versions[0] == versions[1] != versions[2]
