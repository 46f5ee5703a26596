"""JSON schemas as grammars: what a grammar lets end is valid, what cannot be enforced is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import jsonschema_rs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llama import gbnf, numbers, schema
from services.llama.grammar import Constraint, Grammars
from services.llama.model import Model
from services.refusal import InvalidField

NODE = {
    "type": "object",
    "properties": {"v": {"type": "integer"}, "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]}},
    "required": ["v", "next"],
}
COLOUR = {"enum": ["red", "green"], "type": "string"}
ENFORCED: dict[str, Any] = {
    "an object": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 120}},
        "required": ["name", "age"],
        "additionalProperties": False,
    },
    "optional members": {"properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}, "c": {"type": "null"}}},
    "optional and required": {
        "properties": {"a": {"type": "null"}, "b": {"type": "boolean"}, "c": {"type": "null"}},
        "required": ["b"],
        "minProperties": 0,
    },
    "a required member that is not described": {"properties": {"a": COLOUR}, "required": ["a", "extra"]},
    "an impossible optional member": {"properties": {"a": False, "b": {"const": 1}}, "required": ["b"]},
    "a map": {"type": "object", "additionalProperties": {"type": "integer"}},
    "an empty object": {"type": "object", "additionalProperties": False},
    "odd names": {"properties": {'é"\\\n': {"type": "boolean"}}, "required": ['é"\\\n']},
    "constants": {"enum": [1, 'tw"o\n', None, {"x": [1.5, "é"]}, True]},
    "constants of a type": {"enum": [1, "two", 3.5], "type": ["string", "number"], "minimum": 2},
    "a constant": {"const": {"a": []}},
    "an array": {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "minItems": 2, "maxItems": 4},
    "an empty array": {"type": "array", "maxItems": 0},
    "a tuple": {"prefixItems": [{"type": "integer"}, COLOUR], "items": False, "minItems": 2},
    "a tuple and more": {"prefixItems": [COLOUR], "items": {"type": "null"}, "minItems": 2, "maxItems": 3},
    "lengths": {"type": "string", "minLength": 3, "maxLength": 5},
    "a date": {"type": "string", "format": "date"},
    "a time of a day": {"format": "date-time"},
    "a uuid": {"type": "string", "format": "uuid"},
    "a pattern": {"type": "string", "pattern": r"^[a-c]{2,4}-\d+$"},
    "a pattern with quotes": {"type": "string", "pattern": r'^("|\\|\n)[^x]{3}$'},
    "a pattern with a choice": {"type": "string", "pattern": r"^(?:ab|c[^\s\w]?|\d?\D){2}$"},
    "bounds": {"type": "integer", "minimum": -17, "maximum": 2345},
    "one bound": {"type": "integer", "exclusiveMaximum": -10},
    "decimals": {"type": "number", "minimum": -3, "exclusiveMaximum": 4},
    "a share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "several types": {"type": ["string", "integer", "null"], "maxLength": 2},
    "a choice": {"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 2}], "title": "Either"},
    "one of": {"oneOf": [{"type": "boolean"}, {"type": "null"}]},
    "all of": {
        "allOf": [
            {"type": "object", "properties": {"a": COLOUR}, "required": ["a"]},
            {"properties": {"b": {"type": "integer", "maximum": -5}}, "required": ["b"]},
        ]
    },
    "a choice with more around it": {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "anyOf": [{"required": ["a"]}, {"properties": {"z": {"type": "null"}}, "required": ["z"]}],
    },
    "a reference": {"$ref": "#/$defs/colour", "$defs": {"colour": COLOUR}},
    "a reference with more around it": {
        "properties": {"c": {"allOf": [{"$ref": "#/$defs/colour"}], "description": "Which"}},
        "required": ["c"],
        "$defs": {"colour": COLOUR},
    },
    "recursion": {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
}
REFUSED: dict[str, tuple[str, str]] = {
    "no JSON": ("{", "a JSON schema: "),
    "no schema": ('{"type": "strin"}', "a JSON schema: "),
    "too deep for JSON": ("[" * 100_000, "a JSON schema"),
    "too long": (json.dumps({"description": "x" * 70_000}), "at most 65536 bytes"),
    "too deep": ('{"items":' * 70 + "{}" + "}" * 70, "nested more than 64 deep"),
    "not": ('{"properties": {"a": {"not": {}}}}', "at #/properties/a: 'not' cannot be enforced"),
    "unique items": ('{"type": "array", "uniqueItems": true}', "'uniqueItems' cannot be enforced"),
    "a multiple": ('{"type": "integer", "multipleOf": 3}', "'multipleOf' cannot be enforced"),
    "nothing": ("false", "nothing is valid"),
    "no constant": ('{"enum": ["a"], "type": "integer"}', "none of its values is valid"),
    "no number": ('{"type": "integer", "minimum": 5, "maximum": 4}', "no number is between its bounds"),
    "a broken bound": ('{"type": "number", "maximum": 0.5}', "only whole numbers"),
    "no such reference": ('{"$ref": "#/$defs/x"}', "a JSON schema"),
    "a remote reference": ('{"$ref": "https://example.com/x.json"}', "nothing is fetched"),
    "a circle": ('{"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#/$defs/a"}}}', "in a circle"),
    "too many items": ('{"type": "array", "minItems": 5000}', "at most 2000 items"),
    "look-ahead": ('{"type": "string", "pattern": "^(?=a)b$"}', "pattern"),
    "a back reference": (r'{"type": "string", "pattern": "^(a)\\1$"}', "pattern"),
    "a pattern with a length": ('{"type": "string", "pattern": "a", "maxLength": 3}', "together with 'maxLength'"),
    "a required member that may not be": (
        '{"required": ["a"], "additionalProperties": false, "properties": {"b": {}}}',
        "'a' is required but not allowed",
    ),
    "two patterns": (
        '{"allOf": [{"pattern": "^a$"}, {"pattern": "^b$"}], "type": "string"}',
        "two different 'pattern' cannot be combined",
    ),
}


@pytest.fixture(scope="module")
def grammars(llama: Model) -> Iterator[Grammars]:
    """Of the embedded generator."""
    with closing(Grammars(llama)) as grammars:
        yield grammars


@pytest.mark.parametrize("value", ENFORCED.values(), ids=ENFORCED)
def test_what_a_grammar_lets_end_is_valid(llama: Model, grammars: Grammars, value: Any) -> None:
    """Answers of tokens drawn at random, as wild as a model can be."""
    text = schema.gbnf(json.dumps(value), "json_schema")
    validator = jsonschema_rs.validator_for(value, validate_formats=True)
    for seed in range(3):
        answer = drawn(llama, grammars.constraint(text), np.random.default_rng(seed))
        if answer is not None:
            validator.validate(json.loads(answer))


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_enforced_is_refused(text: str, message: str) -> None:
    """With the place, never left out in silence."""
    with pytest.raises(InvalidField) as refused:
        gbnf.check(schema.gbnf(text, "json_schema"))
    assert refused.value.field == "json_schema"
    assert message in refused.value.expected


def test_a_schema_that_needs_itself_without_end_is_no_grammar() -> None:
    """As no value is finite."""
    endless = {"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"]}}}
    with pytest.raises(gbnf.BadGrammar, match="never ends"):
        gbnf.check(schema.gbnf(json.dumps(endless), "json_schema"))


bounds = st.one_of(st.none(), st.integers(-3000, 3000))


@given(least=bounds, most=bounds, probe=st.integers(-4000, 4000))
def test_whole_numbers_between_bounds_are_exactly_those(least: int | None, most: int | None, probe: int) -> None:
    """Compared as a regular expression."""
    inside = (least is None or probe >= least) and (most is None or probe <= most)
    try:
        pattern = as_expression(numbers.integer(least, most))
    except numbers.NoNumber:
        assert least is not None and most is not None and least > most
        return
    assert bool(re.fullmatch(pattern, str(probe))) == inside


@given(
    least=bounds, most=bounds, above=st.booleans(), under=st.booleans(),
    probe=st.decimals(-4000, 4000, places=2).map(str),
)  # fmt: skip
def test_decimals_between_bounds_are_exactly_those(
    least: int | None, most: int | None, above: bool, under: bool, probe: str
) -> None:
    """The bounds themselves in or out."""
    value = float(probe)
    inside = (least is None or value > least or (value == least and not above)) and (
        most is None or value < most or (value == most and not under)
    )
    try:
        pattern = as_expression(numbers.decimal(least, most, above=above, under=under))
    except numbers.NoNumber:
        assert least is not None and most is not None and least >= most
        return
    if not (value == 0 and probe.startswith("-")):
        assert bool(re.fullmatch(pattern, probe)) == inside


def as_expression(rule: str) -> str:
    """A rule of digits as a regular expression."""
    return re.sub(r'"([^"]*)"', lambda found: re.escape(found[1]), rule).replace(" ", "")


def drawn(model: Model, constraint: Constraint, random: np.random.Generator) -> bytes | None:
    """An answer of random tokens, with a liking for what ends things; None where it became too long."""
    every, ends = np.arange(model.vocab_size, dtype=np.int32), model.end_tokens()
    closing_ones = {i for i, piece in enumerate(model.pieces()) if piece in (b'"', b"}", b"]", b'"}', b"null")}
    answer: list[int] = []
    while len(answer) < 40:
        allowed = every[constraint.allowed(every, np.zeros(len(every), np.float32))]
        assert len(allowed), "the grammar leads nowhere"
        liked = [token for token in allowed.tolist() if token in closing_ones]
        if set(ends) & set(allowed.tolist()):
            constraint.close()
            return model.untokenize(answer)
        token = int(random.choice(liked if liked and len(answer) > 12 else allowed))
        assert constraint.accept(token)
        answer.append(token)
    constraint.close()
    return None
