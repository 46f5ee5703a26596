"""Filters as plain data: what the contract makes of them, what is refused and where."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retrieve import filters as server
from services.retrieve.filters import All, Between, Exists, Not, OneOf
from waypost._documents import filters
from waypost.errors import InvalidRequest

FILTERS = [
    ({"lang": "en"}, OneOf("lang", ("en",))),
    ({"author.age": 40}, OneOf("author.age", (40.0,))),
    ({"draft": False}, OneOf("draft", (False,))),
    ({"tag": ["a", 1, True]}, OneOf("tag", ("a", 1.0, True))),
    ({"tag": {"b", "a"}}, OneOf("tag", ("a", "b"))),
    ({"tag": []}, OneOf("tag", ())),
    ({"year": {">=": 2020, "<": 2024}}, Between("year", at_least=2020, below=2024)),
    ({"year": {">": 2020, "<=": 2024.5}}, Between("year", above=2020, at_most=2024.5)),
    ({"year": {"exists": True}}, Exists("year", True)),
    ({"year": {"exists": False}}, Exists("year", False)),
    ({"lang": {"=": "en"}}, OneOf("lang", ("en",))),
    ({"lang": {"!=": "en"}}, Not(OneOf("lang", ("en",)))),
    ({"lang": {"in": ["en"]}}, OneOf("lang", ("en",))),
    ({"lang": {"not in": ["en", "de"]}}, Not(OneOf("lang", ("en", "de")))),
    ({"year": {">": 1, "exists": True}}, All((Between("year", above=1), Exists("year", True)))),
    ({"lang": "en", "year": 5}, All((OneOf("lang", ("en",)), OneOf("year", (5.0,))))),
    ({"$or": [{"a": 1}, {"b": 2}]}, server.Any((OneOf("a", (1.0,)), OneOf("b", (2.0,))))),
    ({"$and": []}, All(())),
    ({"$not": {"$or": []}}, Not(server.Any(()))),
]


@pytest.mark.parametrize(("said", "meant"), FILTERS, ids=[str(said) for said, _ in FILTERS])
def test_the_server_reads_what_was_meant(said: dict[str, Any], meant: server.Filter) -> None:
    """A line each of what can be said."""
    made = filters.built(said)
    assert made is not None
    assert server.read(made) == meant


@pytest.mark.parametrize("nothing", [None, {}])
def test_an_empty_filter_is_none(nothing: dict[str, Any] | None) -> None:
    """So that `delete(filter={})` deletes nothing."""
    assert filters.built(nothing) is None


WRONG = [
    ({"lang": None}, "filter.lang", "exists"),
    ({"lang": {}}, "filter.lang", ">="),
    ({"lang": {"like": "e%"}}, "filter.lang.like", "not in"),
    ({"lang": object()}, "filter.lang", "text"),
    ({"year": {">": "2020"}}, "filter.year.>", "number"),
    ({"year": {">": float("nan")}}, "filter.year.>", "finite"),
    ({"id": 2**53 + 1}, "filter.id", "send it as text"),
    ({"tag": ["a", None]}, "filter.tag[1]", "text"),
    ({"tag": {"in": "ab"}}, "filter.tag.in", "list of values"),
    ({"tag": {"exists": 1}}, "filter.tag.exists", "True or False"),
    ({"$nor": []}, "filter.$nor", "$and, $or, $not"),
    ({"$or": {"a": 1}}, "filter.$or", "list of filters"),
    ({"$or": [{"a": 1}, {}]}, "filter.$or[1]", "dict"),
    ({"$not": [{"a": 1}]}, "filter.$not", "dict"),
    ({1: 2}, "filter key", "not a str"),
    (["a"], "filter", "dict"),
]


@pytest.mark.parametrize(("said", "field", "fix"), WRONG, ids=[str(said)[:40] for said, *_ in WRONG])
def test_what_cannot_be_meant_is_refused_where_it_is_said(said: Any, field: str, fix: str) -> None:
    """Before anything is sent; the message says what there is."""
    with pytest.raises(InvalidRequest) as refused:
        filters.built(said)
    assert refused.value.field == field
    assert fix in refused.value.message


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda name: not name.startswith("$"))
SCALARS = st.text() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
TESTS = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.dictionaries(st.sampled_from([*filters.BOUNDS]), st.floats(-1e9, 1e9), min_size=1),
    st.fixed_dictionaries({"exists": st.booleans()}),
    st.fixed_dictionaries({"!=": SCALARS}),
)
SAID = st.recursive(
    st.dictionaries(NAMES, TESTS, min_size=1, max_size=3),
    lambda inner: (
        st.fixed_dictionaries({"$or": st.lists(inner, max_size=2)})
        | st.fixed_dictionaries({"$and": st.lists(inner, max_size=2)})
        | st.fixed_dictionaries({"$not": inner})
    ),
    max_leaves=4,
)


@given(SAID)
def test_whatever_the_client_lets_through_the_server_reads(said: dict[str, Any]) -> None:
    """No filter fails only when it arrives."""
    made = filters.built(said)
    assert made is not None
    server.read(made)
