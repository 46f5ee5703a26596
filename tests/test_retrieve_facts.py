"""Metadata as tokens: filters over them say what filters over the metadata itself say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retrieve import facts
from services.retrieve.filters import Between, Exists, OneOf
from tests.documents import passes

numbers = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.one_of(numbers, st.booleans(), st.text(max_size=3))
values = st.one_of(scalars, st.none(), st.lists(st.one_of(scalars, st.none()), max_size=3))
bounds = st.one_of(st.none(), numbers)


def found(test: OneOf | Between | Exists, metadata: dict[str, Any]) -> bool:
    """By its tokens."""
    return bool(facts.of(metadata) & set(facts.asked(test)))


@given(value=values, wanted=st.lists(scalars, max_size=3))
def test_a_value_is_found_by_what_is_equal_to_it(value: Any, wanted: list[Any]) -> None:
    """And by nothing else."""
    test = OneOf("a", tuple(wanted))
    assert found(test, {"a": value}) == passes(test, {"a": value})
    same = OneOf("a", tuple(each for each in (value if isinstance(value, list) else [value]) if each is not None))
    assert found(same, {"a": value}) == passes(same, {"a": value})


@given(value=values, above=bounds, at_least=bounds, below=bounds, at_most=bounds)
def test_a_number_is_found_by_the_ranges_it_is_in(
    value: Any, above: float | None, at_least: float | None, below: float | None, at_most: float | None
) -> None:
    """From the largest to the smallest, of either sign."""
    test = Between("a", above, at_least, below, at_most)
    assert found(test, {"a": value}) == passes(test, {"a": value})


@given(number=numbers)
def test_a_bound_is_in_its_range_only_if_it_says_so(number: float) -> None:
    """To the last bit."""
    outcomes = [
        found(test, {"a": number})
        for test in (
            Between("a", at_least=number, at_most=number),
            Between("a", above=number),
            Between("a", below=number),
        )
    ]
    assert outcomes == [True, False, False]


@pytest.mark.parametrize(
    ("metadata", "field", "there"),
    [
        ({"a": {"b": 1.0}}, "a.b", True),
        ({"a": {"b": 1.0}}, "a", True),
        ({"a": {"b": None}}, "a.b", False),
        ({"a": []}, "a", True),
        ({"a": {}}, "a", True),
        ({}, "a", False),
    ],
)
def test_a_field_is_there_or_not(metadata: dict[str, Any], field: str, there: bool) -> None:
    """Objects and lists are, whatever is in them; nulls are not."""
    assert found(Exists(field, True), metadata) == there == passes(Exists(field, True), metadata)


def test_a_range_asks_for_a_few_hundred_tokens_at_most() -> None:
    """Whatever its bounds."""
    assert max(len(facts.asked(Between("a", above=low, below=1e300))) for low in (-1e-300, -3.3, 0.1, 2020)) < 500
    assert len(facts.asked(Between("a", at_least=2020, below=2024))) < 20


def test_a_number_has_a_token_for_each_prefix() -> None:
    """Of its 16 digits, the empty one too, and one that the field is there."""
    assert len(facts.of({"a": 0.1})) == 18
    assert {len(token) for token in facts.of({"a": [0.1, "text", True]})} == {facts.LENGTH}
