"""What `services.retrieve.store` promises, of every store: the naive one shows that the promises are sane."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.backend import ModelUnusable
from services.refusal import InvalidField
from services.retrieve import embedded, filters, stores
from services.retrieve.filters import All, Between, Exists, Filter, Not, OneOf
from services.retrieve.store import Batch, Found, Space, Store, Stored
from tests.documents import NOW, Naive, entry, expires, fetched, ids, said, unit

ALL = 1_000
STORES = ("embedded", *stores.STORES)
spaces = itertools.count(1)


@pytest.fixture(scope="module", params=("naive", *STORES))
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Every store in turn; each test has a tenant of its own in it."""
    with closing(_first(request, tmp_path_factory.mktemp("store"))) as store:
        yield store


def _first(request: pytest.FixtureRequest, folder: Path) -> Store:
    return Naive() if request.param == "naive" else _opening(request.param, request, folder)()


def _opening(name: str, request: pytest.FixtureRequest, folder: Path) -> Callable[[], Store]:
    """Opens a store that is empty, or the same again."""
    match name:
        case "embedded":
            return lambda: embedded.opened(folder, max_bytes=1 << 30, exact_up_to=ALL)
        case "postgresql":
            url = request.getfixturevalue("postgres_server").database()
        case _:
            url = f"{name}://{folder}/{name}.db"
    return lambda: stores.opened(url, folder)


@pytest.fixture
def space() -> Space:
    """A namespace that nobody else has."""
    return Space(f"tenant-{next(spaces)}", "docs")


def found(store: Store, space: Space, found: Found) -> list[str]:
    """Ids of what a search found, best first; what was replaced meanwhile is left out."""
    keys = [int(key) for key in found.keys]
    kept = fetched(store, space, keys)
    return [kept[key].id for key in keys if key in kept]


def nearest(store: Store, space: Space, vector: Sequence[float], passing: Filter | None = None) -> list[str]:
    """Ids by cosine."""
    (one,) = store.dense(space, unit([vector]), ALL, passing, NOW)
    return found(store, space, one)


def worded(store: Store, space: Space, text: str, passing: Filter | None = None) -> list[str]:
    """Ids by words."""
    (one,) = store.words(space, [text], ALL, passing, NOW)
    return found(store, space, one)


def every(store: Store, space: Space, passing: Filter | None = None, now: float = NOW) -> list[str]:
    """Ids of all that pass."""
    return ids(store.page(space, "", ALL, passing, now))


class TestUpsert:
    def test_what_is_stored_is_given_back_whole(self, store: Store, space: Space) -> None:
        """Text, metadata as JSON has it, vector."""
        metadata = {
            "quoted": 'it\'s "so" \\ {x} $y %s',
            "unicode": "naïve – 日本語 🙂",
            "number": -1.5e-3,
            "large": 1e300,
            "whole": 2024.0,
            "truth": True,
            "nothing": None,
            "list": ["a", 1.0, False, None],
            "author": {"name": "Ada", "born": {"year": 1815.0}},
            "empty": {"": [], "object": {}},
        }
        text = "First line.\n\n\tSecond — “quoted”; it's 日本語 \\n 🙂 " + "x" * 5_000
        store.upsert(space, [replace(entry("a", text, [3, 4]), metadata=metadata)], NOW)
        (kept,) = store.get(space, ["a"], True, NOW)
        assert (kept.id, kept.text, said(kept), expires(kept)) == ("a", text, metadata, None)
        np.testing.assert_allclose(kept.vector.values, [0.6, 0.8], atol=1e-6)

    def test_ids_that_are_new_are_added_and_the_others_replaced(self, store: Store, space: Space) -> None:
        """And both are counted."""
        first = store.upsert(space, [entry("a", "old", [1, 0]), entry("b", "b", [1, 0])], NOW)
        second = store.upsert(space, [entry("a", "new", [0, 1]), entry("c", "c", [0, 1])], NOW)
        assert (first.added, first.replaced, second.added, second.replaced) == (2, 0, 1, 1)
        assert [kept.text for kept in store.get(space, ["a", "b", "c"], False, NOW)] == ["new", "b", "c"]

    def test_of_several_with_one_id_the_last_counts(self, store: Store, space: Space) -> None:
        """As if the others had not been there."""
        stored = store.upsert(space, [entry("a", "first"), entry("b"), entry("a", "last")], NOW)
        assert (stored.added, stored.replaced) == (2, 0)
        assert [kept.text for kept in store.get(space, ["a"], False, NOW)] == ["last"]

    def test_a_replaced_document_is_not_found_as_it_was(self, store: Store, space: Space) -> None:
        """Neither by vector nor by words nor behind its old key."""
        store.upsert(space, [entry("a", "ancient", [1, 0])], NOW)
        (before,) = store.dense(space, unit([[1, 0]]), 1, None, NOW)
        store.upsert(space, [entry("a", "modern", [0, 1])], NOW)
        (after,) = store.dense(space, unit([[1, 0]]), 1, None, NOW)
        assert fetched(store, space, [int(before.keys[0])]) == {}
        assert after.scores[0] == pytest.approx(0, abs=1e-6)
        assert (worded(store, space, "ancient"), worded(store, space, "modern")) == ([], ["a"])

    @pytest.mark.parametrize("vector", [[1.0, 0.0], None], ids=["shorter", "none"])
    def test_vectors_of_one_namespace_are_of_one_length(
        self, store: Store, space: Space, vector: list[float] | None
    ) -> None:
        """A document that breaks this stores nothing of its upsert, and the error says which."""
        store.upsert(space, [entry("a", vector=[1, 0, 0])], NOW)
        with pytest.raises(InvalidField) as refused:
            store.upsert(space, [entry("b", vector=[0, 1, 0]), entry("c", vector=vector)], NOW)
        assert refused.value.field == "documents[1].vector"
        assert every(store, space) == ["a"]

    def test_an_upsert_with_unlike_vectors_makes_no_namespace(self, store: Store, space: Space) -> None:
        """The first of it says how long they are."""
        with pytest.raises(InvalidField):
            store.upsert(space, [entry("a", vector=[1, 0]), entry("b", vector=[1, 0, 0])], NOW)
        assert store.names(space.tenant) == []

    def test_several_callers_hear_each_of_their_own(self, store: Store, space: Space) -> None:
        """Whoever is refused does not keep the others from being stored, in one namespace or in two."""
        other = replace(space, name="other")
        batches = [
            Batch(space, [entry("a", "first", [1, 0])]),
            Batch(space, [entry("c", "longer", [1, 0, 0]), entry("d", "longer", [1, 0, 0])]),
            Batch(other, [entry("a", "longer", [1, 0, 0])]),
            Batch(space, [entry("a", "second", [0, 1]), entry("b", "second", [0, 1])]),
        ]
        first, refused, elsewhere, last = store.upsert_each(batches, NOW)
        assert (first, elsewhere, last) == (Stored(1, 0), Stored(1, 0), Stored(1, 1))
        assert isinstance(refused, InvalidField) and refused.field == "documents[0].vector"
        assert (every(store, space), every(store, other)) == (["a", "b"], ["a"])
        assert (worded(store, space, "first"), sorted(worded(store, space, "second"))) == ([], ["a", "b"])
        assert nearest(store, space, [0, 1])[:2] in (["a", "b"], ["b", "a"])
        again = store.upsert_each([Batch(space, [entry("a", vector=[1, 0])]), Batch(other, [entry("b")])], NOW)
        assert again[0] == Stored(0, 1) and isinstance(again[1], InvalidField)

    def test_other_namespaces_may_have_vectors_of_other_lengths(self, store: Store, space: Space) -> None:
        """Of one tenant even."""
        other = replace(space, name="other")
        store.upsert(space, [entry("a", vector=[1, 0])], NOW)
        store.upsert(other, [entry("b", vector=[1, 0, 0])], NOW)
        assert (nearest(store, space, [1, 0]), nearest(store, other, [1, 0, 0])) == (["a"], ["b"])


class TestDense:
    def test_the_largest_cosine_is_first(self, store: Store, space: Space) -> None:
        """And is the score."""
        store.upsert(
            space, [entry("far", vector=[-1, 0]), entry("near", vector=[1, 0]), entry("side", vector=[0, 1])], NOW
        )
        (one,) = store.dense(space, unit([[2, 1]]), 3, None, NOW)
        assert found(store, space, one) == ["near", "side", "far"]
        np.testing.assert_allclose(one.scores, np.array([2, 1, -2]) / np.sqrt(5), atol=1e-5)

    def test_each_vector_has_an_answer_of_its_own(self, store: Store, space: Space) -> None:
        """In the order of the vectors, no longer than the limit."""
        store.upsert(space, [entry("x", vector=[1, 0]), entry("y", vector=[0, 1])], NOW)
        answers = store.dense(space, unit([[0, 1], [1, 0], [1, 0.1]]), 1, None, NOW)
        assert [found(store, space, one) for one in answers] == [["y"], ["x"], ["x"]]

    def test_of_few_documents_exactly_the_best_are_found(self, store: Store, space: Space) -> None:
        """No graph may guess where looking at all is cheap."""
        rng = np.random.default_rng(8)
        vectors, queries = unit(rng.normal(size=(300, 16))), unit(rng.normal(size=(5, 16)))
        store.upsert(space, [replace(entry(f"d{i}"), vector=vector) for i, vector in enumerate(vectors)], NOW)
        answers = store.dense(space, queries, 10, None, NOW)
        best = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
        assert [found(store, space, one) for one in answers] == [[f"d{i}" for i in row] for row in best]

    def test_only_what_passes_is_found_however_far_it_is(self, store: Store, space: Space) -> None:
        """The filter is asked before the limit."""
        documents = [replace(entry(f"d{i}", kind="many"), vector=unit([1, i / 100])) for i in range(100)]
        store.upsert(space, [*documents, entry("one", vector=[-1, 0], kind="rare")], NOW)
        (one,) = store.dense(space, unit([[1, 0]]), 1, OneOf("kind", ("rare",)), NOW)
        assert found(store, space, one) == ["one"]

    def test_a_query_of_another_length_is_refused(self, store: Store, space: Space) -> None:
        """It has no cosine."""
        store.upsert(space, [entry("a", vector=[1, 0, 0])], NOW)
        with pytest.raises(InvalidField):
            store.dense(space, unit([[1, 0]]), 1, None, NOW)

    def test_where_there_are_no_vectors_nothing_is_found(self, store: Store, space: Space) -> None:
        """In a namespace of words alone, and in none."""
        assert nearest(store, space, [1, 0]) == []
        store.upsert(space, [entry("a", "words alone")], NOW)
        assert nearest(store, space, [1, 0]) == []
        assert worded(store, space, "words") == ["a"]


class TestWords:
    def test_who_shares_more_words_is_first(self, store: Store, space: Space) -> None:
        """Who shares none is not found."""
        texts = {"both": "copper kettle", "one": "copper spoon", "none": "wooden plate", "other": "glass jar"}
        store.upsert(space, [entry(id, text, [1, 0]) for id, text in texts.items()], NOW)
        assert worded(store, space, "a kettle of COPPER") == ["both", "one"]

    def test_each_text_has_an_answer_of_its_own(self, store: Store, space: Space) -> None:
        """In the order of the texts, no longer than the limit; scores fall."""
        store.upsert(space, [entry("a", "apple apple pie"), entry("b", "banana split"), entry("c", "apple cake")], NOW)
        answers = store.words(space, ["banana", "apple", "cherry", ""], 1, None, NOW)
        assert [len(one.keys) for one in answers] == [1, 1, 0, 0]
        assert found(store, space, answers[0]) == ["b"]

    @pytest.mark.parametrize(
        "text",
        [
            "zebra AND NOT",
            '"zebra',
            "zebra:*",
            "(zebra | !",
            "zebra & -stripes",
            "title:zebra^2~",
            "zebra\\",
            "'zebra'",
        ],
    )
    def test_nothing_in_a_text_is_syntax(self, store: Store, space: Space, text: str) -> None:
        """Any text is only words."""
        store.upsert(space, [entry("a", "a zebra"), entry("b", "a horse")], NOW)
        assert worded(store, space, text) == ["a"]

    def test_a_text_of_nothing_but_frequent_words_finds_them(self, store: Store, space: Space) -> None:
        """Who asks for them means them."""
        store.upsert(space, [entry("a", "to be or not to be"), entry("b", "zebra")], NOW)
        assert worded(store, space, "To be, or not") == ["a"]

    def test_only_what_passes_is_found(self, store: Store, space: Space) -> None:
        """As by vector."""
        store.upsert(space, [entry("a", "zebra", lang="en"), entry("b", "zebra", lang="de")], NOW)
        assert worded(store, space, "zebra", OneOf("lang", ("de",))) == ["b"]

    def test_words_of_other_languages_are_words(self, store: Store, space: Space) -> None:
        """Where they are written with spaces."""
        store.upsert(space, [entry("a", "Grüße aus Köln"), entry("b", "привет мир")], NOW)
        assert (worded(store, space, "grüße"), worded(store, space, "Привет")) == (["a"], ["b"])


SHELF = [
    entry("none"),
    entry("plain", lang="en", year=2020.0, draft=True),
    entry("list", lang=["en", "de"], year=[1999.0, 2024.5], draft=[False]),
    entry("mixed", lang=[1.0, True, "1"], year="2020"),
    entry("nulls", lang=None, year=[None], empty=[]),
    entry("deep", author={"name": "Ada", "born": {"year": 1815.0}}, year=-3.0),
    entry("odd", lang="o'b\"r\\ien 日本 %s", year=0.0, **{"a b": 1.0, "ключ": "да"}),
]
NEVER = filters.Any(())
CASES: list[tuple[Filter, list[str]]] = [
    (OneOf("lang", ("en",)), ["list", "plain"]),
    (OneOf("lang", ("de", "fr")), ["list"]),
    (OneOf("lang", ()), []),
    (OneOf("lang", ("e",)), []),
    (OneOf("lang", (1.0,)), ["mixed"]),
    (OneOf("lang", (True,)), ["mixed"]),
    (OneOf("lang", ("1",)), ["mixed"]),
    (OneOf("draft", (True,)), ["plain"]),
    (OneOf("draft", (1.0,)), []),
    (OneOf("year", (2020.0,)), ["plain"]),
    (OneOf("year", (-0.0,)), ["odd"]),
    (OneOf("lang", ("o'b\"r\\ien 日本 %s",)), ["odd"]),
    (OneOf("a b", (1.0,)), ["odd"]),
    (OneOf("ключ", ("да",)), ["odd"]),
    (OneOf("author.name", ("Ada",)), ["deep"]),
    (OneOf("author", ("Ada",)), []),
    (OneOf("lang.name", ("en",)), []),
    (OneOf('x"] or true or meta["y', ("en",)), []),
    (Between("year", at_least=2020), ["list", "plain"]),
    (Between("year", above=2020), ["list"]),
    (Between("year", above=2000, below=2024), ["plain"]),
    (Between("year", below=0), ["deep"]),
    (Between("year", at_most=0), ["deep", "odd"]),
    (Between("author.born.year", at_least=1815, at_most=1815), ["deep"]),
    (Between("lang", at_least=0.5), ["mixed"]),
    (Between("year", above=5, below=5), []),
    (Exists("lang", True), ["list", "mixed", "odd", "plain"]),
    (Exists("lang", False), ["deep", "none", "nulls"]),
    (Exists("author", True), ["deep"]),
    (Exists("empty", True), ["nulls"]),
    (Exists("author.born.year", True), ["deep"]),
    (Exists("author.died", True), []),
    (Not(OneOf("lang", ("en",))), ["deep", "mixed", "none", "nulls", "odd"]),
    (Not(Between("year", at_least=-10)), ["mixed", "none", "nulls"]),
    (All(()), sorted(each.id for each in SHELF)),
    (NEVER, []),
    (Not(NEVER), sorted(each.id for each in SHELF)),
    (Not(All(())), []),
    (All((OneOf("lang", ("en",)), Not(OneOf("lang", ("de",))))), ["plain"]),
    (filters.Any((OneOf("lang", ("de",)), Between("year", below=0))), ["deep", "list"]),
    (Not(filters.Any((Exists("lang", True), Exists("year", True)))), ["none"]),
]

FIELDS = ("a", "b", "n.x", "n.y")
scalars = st.one_of(
    st.sampled_from(["x", "y", "", "it's"]),
    st.booleans(),
    st.sampled_from([0.0, -1.0, 1.0, 2.5, 1e6, -1e-9]),
    st.floats(allow_nan=False, allow_infinity=False, width=64),
)
field_values = st.one_of(scalars, st.none(), st.lists(st.one_of(scalars, st.none()), max_size=4))
objects = st.dictionaries(st.sampled_from(["x", "y"]), field_values, max_size=2)
metadatas = st.fixed_dictionaries({}, optional={"a": field_values, "b": field_values, "n": objects})
bounds = st.one_of(st.none(), st.sampled_from([-1.0, 0.0, 1.0, 2.5]), st.floats(allow_nan=False, allow_infinity=False))
leaves = st.one_of(
    st.builds(OneOf, st.sampled_from(FIELDS), st.lists(scalars, max_size=3).map(tuple)),
    st.builds(Between, st.sampled_from(FIELDS), bounds, bounds, bounds, bounds).filter(
        lambda each: any(bound is not None for bound in (each.above, each.at_least, each.below, each.at_most))
    ),
    st.builds(Exists, st.sampled_from(FIELDS), st.booleans()),
)
trees: st.SearchStrategy[Filter] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(All, st.lists(inner, max_size=3).map(tuple)),
        st.builds(filters.Any, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def shelf(store: Store) -> Space:
    """A namespace with documents of every kind."""
    space = Space(f"tenant-{next(spaces)}", "shelf")
    store.upsert(space, SHELF, NOW)
    return space


class TestFilters:
    @pytest.mark.parametrize(("passing", "expected"), CASES, ids=lambda case: str(case)[:60])
    def test_what_passes(self, store: Store, shelf: Space, passing: Filter, expected: list[str]) -> None:
        """Case by case."""
        assert every(store, shelf, passing) == expected

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(shelf=st.lists(metadatas, min_size=1, max_size=12), tests=st.lists(trees, min_size=5, max_size=10))
    def test_what_passes_is_what_the_contract_says(
        self, store: Store, shelf: list[dict[str, Any]], tests: list[Filter]
    ) -> None:
        """Compared with the naive store, on any metadata and any filter."""
        space, naive = Space(f"tenant-{next(spaces)}", "any"), Naive()
        documents = [replace(entry(f"d{i}"), metadata=metadata) for i, metadata in enumerate(shelf)]
        for each in (store, naive):
            each.upsert(space, documents, NOW)
        for passing in tests:
            assert every(store, space, passing) == every(naive, space, passing), passing
        store.delete(space, None, None, NOW)


class TestExpiry:
    def test_a_document_is_gone_when_its_time_has_come(self, store: Store, space: Space) -> None:
        """From every answer, before anybody sweeps."""
        passing = replace(entry("a", "sand", [1, 0]), expires=NOW + 10)
        store.upsert(space, [passing, entry("b", "sand", [1, 0])], NOW)
        assert [expires(kept) for kept in store.get(space, ["a", "b"], False, NOW)] == [NOW + 10, None]
        later = NOW + 10
        (dense,) = store.dense(space, unit([[1, 0]]), ALL, None, later)
        (words,) = store.words(space, ["sand"], ALL, None, later)
        assert found(store, space, dense) == found(store, space, words) == every(store, space, now=later) == ["b"]
        assert ids(store.get(space, ["a", "b"], False, later)) == ["b"]
        assert (figures := store.figures(space, later)) and figures.documents == 1

    def test_retention_counts_where_a_document_says_nothing(self, store: Store, space: Space) -> None:
        """From when it was stored."""
        store.set_retention(space, 60.0)
        store.upsert(space, [entry("a"), replace(entry("own"), expires=NOW + 100)], NOW)
        store.upsert(space, [entry("late")], NOW + 30)
        assert [expires(kept) for kept in store.get(space, ["a", "own", "late"], False, NOW + 31)] == [
            NOW + 60,
            NOW + 100,
            NOW + 90,
        ]
        assert every(store, space, now=NOW + 60) == ["late", "own"]
        assert every(store, space, now=NOW + 90) == ["own"]

    def test_a_changed_retention_holds_for_what_is_there(self, store: Store, space: Space) -> None:
        """Also when it is taken away."""
        store.upsert(space, [entry("a")], NOW)
        assert every(store, space, now=NOW + 1e6) == ["a"]
        store.set_retention(space, 5.0)
        assert every(store, space, now=NOW + 6) == []
        store.set_retention(space, None)
        assert every(store, space, now=NOW + 6) == ["a"]
        assert (figures := store.figures(space, NOW)) and figures.retention is None

    def test_sweeping_removes_what_has_expired_and_only_that(self, store: Store, space: Space) -> None:
        """And says how much it was."""
        kept = replace(space, name="kept")
        store.set_retention(space, 5.0)
        store.upsert(space, [entry("a"), entry("b")], NOW)
        store.upsert(kept, [replace(entry("c"), expires=NOW + 5), entry("d")], NOW)
        store.sweep(NOW)
        assert store.sweep(NOW + 5) == 3
        assert store.sweep(NOW + 5) == 0
        store.set_retention(space, None)
        assert (every(store, space), every(store, kept)) == ([], ["d"])

    def test_what_has_expired_is_added_anew_and_not_replaced(self, store: Store, space: Space) -> None:
        """Nobody could see it any more."""
        store.upsert(space, [replace(entry("a", "old"), expires=NOW + 1)], NOW)
        stored = store.upsert(space, [entry("a", "new")], NOW + 2)
        assert (stored.added, stored.replaced) == (1, 0)
        assert [kept.text for kept in store.get(space, ["a"], False, NOW + 2)] == ["new"]


class TestApart:
    def test_nobody_sees_or_changes_what_is_anothers(self, store: Store, space: Space) -> None:
        """Same namespace, same ids, another tenant."""
        other = replace(space, tenant=f"{space.tenant}-other")
        store.upsert(space, [entry("a", "mine", [1, 0]), entry("b", "mine", [1, 0])], NOW)
        (mine,) = store.dense(space, unit([[1, 0]]), ALL, None, NOW)
        assert store.names(other.tenant) == []
        assert store.figures(other, NOW) is None
        store.upsert(other, [entry("a", "theirs", [1, 0])], NOW)
        assert fetched(store, other, [int(key) for key in mine.keys]) == {}
        assert (nearest(store, other, [1, 0]), worded(store, other, "mine")) == (["a"], [])
        assert store.delete(other, ["a", "b"], None, NOW) == 1
        store.set_retention(other, 1.0)
        store.delete(other, None, None, NOW)
        assert [kept.text for kept in store.get(space, ["a", "b"], False, NOW + 5)] == ["mine", "mine"]

    @pytest.mark.parametrize(
        ("one", "two"),
        [
            (Space("t", "a.b"), Space("t", "a_b")),
            (Space("t.a", "b"), Space("t", "a.b")),
            (Space("T", "n"), Space("t", "n")),
            (Space("t", "N"), Space("t", "n")),
            (Space("o'brien; drop", "n"), Space("o''brien; drop", "n")),
            (Space("ä" * 300, "n" * 128), Space("ä" * 299, "n" * 128)),
            (Space("", "n"), Space(" ", "n")),
        ],
        ids=str,
    )
    def test_names_that_look_alike_are_not_the_same(self, store: Store, one: Space, two: Space) -> None:
        """Whatever a database makes of them."""
        store.upsert(one, [entry("a", "one")], NOW)
        store.upsert(two, [entry("b", "two")], NOW)
        assert (every(store, one), every(store, two)) == (["a"], ["b"])
        assert one.name in store.names(one.tenant)
        assert (store.delete(one, None, None, NOW), every(store, two)) == (1, ["b"])
        store.delete(two, None, None, NOW)


class TestPages:
    def test_pages_come_in_the_order_of_the_bytes_of_the_ids(self, store: Store, space: Space) -> None:
        """Each after the last id of the one before; upper case, accents and emoji are nothing special."""
        names = ["Z", "a", "a b", "a\tb", "b'c", 'd"e', "f\\g", "%", "ä", "é", "中", "\uffff", "🙂", "10", "9", "a#1"]
        store.upsert(space, [entry(name) for name in names], NOW)
        pages, after = [], ""
        while page := ids(store.page(space, after, 3, None, NOW)):
            pages += page
            after = page[-1]
        assert pages == sorted(names, key=str.encode)

    def test_a_page_has_only_what_passes(self, store: Store, space: Space) -> None:
        """As many as asked for, where there are as many."""
        store.upsert(space, [entry(f"{i:02}", even=i % 2 == 0) for i in range(20)], NOW)
        assert ids(store.page(space, "03", 3, OneOf("even", (True,)), NOW)) == ["04", "06", "08"]

    def test_a_long_id_is_an_id(self, store: Store, space: Space) -> None:
        """512 bytes."""
        longest = "ü" * 256
        store.upsert(space, [entry(longest), entry(longest[:-1])], NOW)
        assert ids(store.get(space, [longest], False, NOW)) == [longest]
        assert every(store, space) == [longest[:-1], longest]


class TestGet:
    def test_documents_come_in_the_order_of_the_ids(self, store: Store, space: Space) -> None:
        """Those that are not there are left out."""
        store.upsert(space, [entry(name, vector=[1, 0]) for name in "abc"], NOW)
        kept = store.get(space, ["c", "nobody", "a"], False, NOW)
        assert (ids(kept), [each.HasField("vector") for each in kept]) == (["c", "a"], [False, False])

    def test_of_no_namespace_there_is_nothing(self, store: Store, space: Space) -> None:
        """And nothing is made by asking."""
        assert store.get(space, ["a"], False, NOW) == store.page(space, "", 5, None, NOW) == []
        assert fetched(store, space, [1]) == {}
        assert [len(one.keys) for one in store.dense(space, unit([[1, 0], [0, 1]]), 5, None, NOW)] == [0, 0]
        assert [len(one.keys) for one in store.words(space, ["a"], 5, None, NOW)] == [0]
        assert store.delete(space, ["a"], None, NOW) == store.delete(space, None, None, NOW) == 0
        assert (store.figures(space, NOW), store.names(space.tenant)) == (None, [])

    def test_fetching_gives_vectors_if_asked(self, store: Store, space: Space) -> None:
        """Not otherwise: they are long."""
        store.upsert(space, [entry("a", "text", [0, 1], x=1.0)], NOW)
        (one,) = store.dense(space, unit([[0, 1]]), 1, None, NOW)
        key = int(one.keys[0])
        assert not fetched(store, space, [key])[key].HasField("vector")
        assert fetched(store, space, [key], with_text=False)[key].text == ""
        kept = fetched(store, space, [key, -1], with_vector=True)
        assert list(kept) == [key]
        assert (kept[key].text, said(kept[key])) == ("text", {"x": 1.0})
        np.testing.assert_allclose(kept[key].vector.values, [0, 1], atol=1e-6)


class TestDelete:
    def test_documents_are_deleted_by_id(self, store: Store, space: Space) -> None:
        """Those that were there are counted, and are found no more."""
        store.upsert(space, [entry(name, "same", [1, 0]) for name in "abc"], NOW)
        assert store.delete(space, ["a", "b", "nobody"], None, NOW) == 2
        assert every(store, space) == nearest(store, space, [1, 0]) == worded(store, space, "same") == ["c"]

    def test_documents_are_deleted_by_filter(self, store: Store, space: Space) -> None:
        """Those that pass."""
        store.upsert(space, [entry(name, n=float(i)) for i, name in enumerate("abc")], NOW)
        assert store.delete(space, None, Between("n", at_least=1), NOW) == 2
        assert every(store, space) == ["a"]

    def test_a_namespace_is_deleted_with_all_that_is_in_it(self, store: Store, space: Space) -> None:
        """And may be made again, with vectors of another length."""
        store.set_retention(space, 1e9)
        store.upsert(space, [entry("a", vector=[1, 0]), entry("b", vector=[1, 0])], NOW)
        assert store.delete(space, None, None, NOW) == 2
        assert (store.names(space.tenant), store.figures(space, NOW)) == ([], None)
        store.upsert(space, [entry("c", vector=[1, 0, 0])], NOW)
        assert (every(store, space), nearest(store, space, [1, 0, 0])) == (["c"], ["c"])
        assert (figures := store.figures(space, NOW)) and figures.retention is None


class TestFigures:
    def test_a_namespace_is_there_when_it_has_been_made(self, store: Store, space: Space) -> None:
        """Empty, with its retention."""
        store.set_retention(space, 3600.0)
        figures = store.figures(space, NOW)
        assert figures
        assert (figures.name, figures.retention, figures.documents, figures.dimensions, figures.index) == (
            "docs",
            3600.0,
            0,
            0,
            "",
        )

    def test_what_is_in_it_is_counted(self, store: Store, space: Space) -> None:
        """Documents, the length of their vectors, and that there is an index."""
        store.upsert(space, [entry("a", vector=[1, 0, 0]), entry("b", vector=[1, 0, 0])], NOW)
        figures = store.figures(space, NOW)
        assert figures
        assert (figures.documents, figures.dimensions, figures.unindexed) == (2, 3, 0)
        assert figures.index
        assert min(figures.disk_bytes, figures.memory_bytes) >= 0

    def test_namespaces_are_listed_by_name(self, store: Store, space: Space) -> None:
        """Of the tenant alone."""
        for name in ("zoo", "Ant", "bee-2", "bee.1"):
            store.set_retention(replace(space, name=name), None)
        assert store.names(space.tenant) == ["Ant", "bee-2", "bee.1", "zoo"]


class TestConcurrency:
    def test_many_may_store_and_search_at_once(self, store: Store, space: Space) -> None:
        """Each document is there once, and what was answered is found by who asks afterwards."""

        def work(worker: int) -> None:
            for turn in range(4):
                mine, shared = f"w{worker}-{turn}", f"shared-{turn}"
                vector = np.eye(8, dtype=np.float32)[worker]
                documents = [replace(entry(name, f"word{worker}"), vector=vector) for name in (shared, mine)]
                store.upsert(space, documents if worker % 2 else documents[::-1], NOW)
                assert mine in nearest(store, space, [float(x) for x in vector])
                assert mine in worded(store, space, f"word{worker}")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        expected = sorted([f"w{worker}-{turn}" for worker in range(8) for turn in range(4)])
        assert every(store, space) == [*(f"shared-{turn}" for turn in range(4)), *expected]
        assert (figures := store.figures(space, NOW)) and figures.documents == 36

    def test_namespaces_may_be_made_at_once(self, store: Store, space: Space) -> None:
        """By several callers, the same or others."""

        def work(worker: int) -> None:
            store.upsert(replace(space, name=f"n{worker % 3}"), [entry(f"d{worker}", vector=[1, 0])], NOW)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(work, range(6)))
        assert store.names(space.tenant) == ["n0", "n1", "n2"]
        assert every(store, replace(space, name="n1")) == ["d1", "d4"]


@pytest.mark.parametrize("name", STORES)
def test_what_was_stored_is_there_when_the_store_is_opened_again(
    name: str, tmp_path: Path, space: Space, request: pytest.FixtureRequest
) -> None:
    """With the namespace's retention, and new keys do not meet old ones."""
    opened = _opening(name, request, tmp_path)
    with closing(opened()) as store:
        store.set_retention(space, 100.0)
        store.upsert(space, [entry("a", "kept words", [1, 0], lang="en")], NOW)
    with closing(opened()) as store:
        assert (nearest(store, space, [1, 0]), worded(store, space, "words")) == (["a"], ["a"])
        assert [expires(kept) for kept in store.get(space, ["a"], False, NOW)] == [NOW + 100]
        store.upsert(space, [entry("b", vector=[1, 0])], NOW)
        assert sorted(nearest(store, space, [1, 0])) == ["a", "b"]


def test_a_store_that_is_none_is_refused(tmp_path: Path) -> None:
    """With those that there are."""
    with pytest.raises(ModelUnusable, match="'mysql' is none of embedded, milvus, postgresql"):
        stores.opened("mysql://localhost", tmp_path)


def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every installation has every database's client."""
    monkeypatch.setattr(stores, "import_module", lambda name: __import__("no_such_package"))
    monkeypatch.setitem(stores.EXTRAS, "no_such_package", "milvus")
    with pytest.raises(
        ModelUnusable, match=r"needs the package 'no_such_package': run pip install 'waypost\[milvus\]'"
    ):
        stores.opened("milvus://localhost", tmp_path)
