"""Calls of tools: told, forced, and found in what a model wrote."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import jsonschema_rs
import numpy as np
import pytest

from services.llama import gbnf, tools
from services.llama.grammar import Grammars
from services.llama.model import Model
from services.refusal import InvalidField
from tests.test_llama_schema import drawn
from waypost.v1.generate_pb2 import Tool

CITY = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 9}}, "required": ["city"]}
WEATHER = Tool(name="weather", description="Of a city", parameters_json=json.dumps(CITY))
CLOCK = Tool(name="clock")
PARIS = '{"name": "weather", "arguments": {"city": "Paris"}}'
NOW = '{"name": "clock", "arguments": {}}'


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (PARIS, ["weather"]),
        (f" {NOW}\n", ["clock"]),
        ('{"name": "clock"}', ["clock"]),
        (PARIS.replace("arguments", "parameters"), ["weather"]),
        (f'{{"type": "function", "function": {PARIS}}}', ["weather"]),
        ('{"name": "weather", "arguments": "{\\"city\\": \\"Paris\\"}"}', ["weather"]),
        (f"[{PARIS}, {NOW}]", ["weather", "clock"]),
        (f"<tool_call>\n{PARIS}\n</tool_call>", ["weather"]),
        (f"<tool_call>{PARIS}</tool_call>\n<tool_call>{NOW}</tool_call>", ["weather", "clock"]),
        (f"<tool_call>\n{PARIS}", ["weather"]),
    ],
)
def test_calls_are_found_in_the_forms_that_models_use(text: str, names: list[str]) -> None:
    """With ids of their own, of the nine characters that Mistral's templates take."""
    calls = tools.parse(text, (WEATHER, CLOCK))
    assert calls and [name for _, name, _ in calls] == names
    assert len({each for each, _, _ in calls}) == len(names)
    assert all(len(each) == 9 and each.isalnum() for each, _, _ in calls)
    assert all(
        json.loads(arguments) == ({"city": "Paris"} if name == "weather" else {}) for _, name, arguments in calls
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "It is sunny.",
        "[]",
        "null",
        '{"city": "Paris"}',
        '{"name": 3, "arguments": {}}',
        '{"name": "nobody", "arguments": {}}',
        '{"name": "weather", "arguments": {}}',
        '{"name": "weather", "arguments": {"city": 3}}',
        '{"name": "weather", "arguments": ["Paris"]}',
        '{"name": "clock", "arguments": {"zone": NaN}}',
        f"[{PARIS}, 3]",
        f"Let me see. {PARIS}",
        f"<tool_call>{PARIS}</tool_call> and so on",
        "<tool_call>nonsense</tool_call>",
        "<tool_call>" * 2000,
        "[" * 100_000,
    ],
)
def test_what_is_no_valid_call_is_a_text(text: str) -> None:
    """Also one whose arguments do not satisfy the schema."""
    assert tools.parse(text, (WEATHER, Tool(name="clock", parameters_json='{"additionalProperties": false}'))) is None


def test_a_forced_call_is_a_valid_one(llama: Model) -> None:
    """Of one of the tools, by the schema of its arguments, references in it included."""
    node = {"type": "object", "properties": {"at": {"$ref": "#/$defs/zone"}}, "required": ["at"]}
    clock = Tool(name="clock", parameters_json=json.dumps(node | {"$defs": {"zone": {"enum": ["UTC", "CET"]}}}))
    text = tools.grammar((WEATHER, clock, Tool(name="stop")))
    with closing(Grammars(llama)) as grammars:
        answers = [drawn(llama, grammars.constraint(text), np.random.default_rng(seed)) for seed in range(6)]
    called = [tools.parse(answer.decode(), (WEATHER, clock, Tool(name="stop"))) for answer in answers if answer]
    assert called and all(called)


def test_a_model_is_told_of_tools_in_words() -> None:
    """Where its template does not."""
    text = tools.introduction((WEATHER, CLOCK))
    assert json.dumps({"name": "weather", "description": "Of a city", "parameters": CITY}) in text
    assert '{"name": "the function\'s name", "arguments": {"argument": "value"}}' in text
    assert tools.parse(tools.as_text("weather", {"city": "Paris"}), (WEATHER,))


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (Tool(name="a", parameters_json="{"), "tools[1].parameters_json"),
        (Tool(name="a", parameters_json='{"type": "array"}'), "tools[1].parameters_json"),
        (Tool(name="a", parameters_json='{"type": "strin"}'), "tools[1].parameters_json"),
        (Tool(name="weather"), "tools[1].name"),
    ],
)
def test_wrong_definitions_are_refused(wrong: Tool, field: str) -> None:
    """By their place."""
    with pytest.raises(InvalidField) as refused:
        tools.check((WEATHER, wrong))
    assert refused.value.field == field


def test_a_schema_that_cannot_be_forced_is_refused_only_where_it_must_be() -> None:
    """It can still be checked afterwards."""
    odd = Tool(name="odd", parameters_json='{"properties": {"n": {"multipleOf": 2}}}')
    tools.check((odd,))
    assert tools.parse('{"name": "odd", "arguments": {"n": 4}}', (odd,))
    assert tools.parse('{"name": "odd", "arguments": {"n": 3}}', (odd,)) is None
    with pytest.raises(InvalidField, match="'multipleOf' cannot be enforced"):
        tools.grammar((odd,))


def test_data_for_templates_is_what_they_expect() -> None:
    """A schema of no arguments where there is none."""
    (clock,) = tools.as_template_data((CLOCK,))
    described: dict[str, Any] = clock["function"]
    assert (clock["type"], described["name"]) == ("function", "clock")
    assert jsonschema_rs.is_valid(described["parameters"], {})
    gbnf.check(tools.grammar((CLOCK,)))
