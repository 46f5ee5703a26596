"""Documents in PostgreSQL: what is its own beside what every store promises (`test_retrieve_stores`)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, text

from services.backend import ModelUnusable
from services.refusal import InvalidField, StoreUnreachable
from services.retrieve import stores
from services.retrieve.filters import OneOf
from services.retrieve.postgres import migrate
from services.retrieve.postgres.graphs import Graphs
from services.retrieve.postgres.store import Postgres
from services.retrieve.store import Space, Store
from tests import postgres
from tests.documents import NOW, entry, fetched, ids, unit
from waypost import database

SPACE = Space("tenant", "docs")
RNG = np.random.default_rng(8)
VECTORS = unit(RNG.normal(size=(400, 12)))


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    """Of a database with the tables of documents, which takes a graph where there is one, however few documents."""
    engine = database.open_engine(postgres_url)
    migrate.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text(f"ALTER DATABASE {engine.url.database} SET enable_sort = off"))
    engine.dispose()
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine) -> Store:
    """One that makes a graph of more than 100 vectors."""
    return Postgres(engine, Graphs(engine, exact_up_to=100))


def indexes(engine: Engine) -> set[str]:
    """Graphs that are there."""
    with engine.connect() as connection:
        return set(
            connection.execute(text("SELECT indexname FROM pg_indexes WHERE indexname LIKE '%graph%'")).scalars()
        )


def fill(store: Store, space: Space, count: int) -> None:
    """With so many documents; one in a hundred is rare."""
    documents = [replace(entry(f"d{i}", rare=i % 100 == 0), vector=VECTORS[i]) for i in range(count)]
    store.upsert(space, documents, NOW)


def top(store: Store, space: Space, query: int, limit: int, passing: OneOf | None = None) -> list[str]:
    """Ids of the nearest to one of the vectors."""
    (one,) = store.dense(space, VECTORS[query : query + 1], limit, passing, NOW)
    kept = fetched(store, space, [int(key) for key in one.keys])
    return ids([kept[int(key)] for key in one.keys])


def index_of(store: Store, space: Space) -> str:
    """How the namespace is searched."""
    figures = store.figures(space, NOW)
    assert figures
    return figures.index


class TestGraphs:
    def test_a_namespace_that_has_grown_gets_a_graph_of_its_own(self, store: Store, engine: Engine) -> None:
        """When it is swept; small ones are compared one by one, and it goes with its namespace."""
        small = replace(SPACE, name="small")
        fill(store, SPACE, 400)
        fill(store, small, 100)
        assert (index_of(store, SPACE), indexes(engine)) == ("exact", set())
        store.sweep(NOW)
        assert (index_of(store, SPACE), index_of(store, small), len(indexes(engine))) == ("hnsw", "exact", 1)
        store.sweep(NOW)
        assert len(indexes(engine)) == 1
        store.delete(SPACE, None, None, NOW)
        store.sweep(NOW)
        assert indexes(engine) == set()

    def test_a_graph_finds_the_nearest(self, store: Store) -> None:
        """Also what was stored after it was made."""
        fill(store, SPACE, 399)
        store.sweep(NOW)
        fill(store, SPACE, 400)
        for query in (0, 50, 399):
            best = np.argsort(-(VECTORS @ VECTORS[query]))[:5]
            assert top(store, SPACE, query, 5) == [f"d{i}" for i in best]

    def test_the_graph_is_what_is_used(self, store: Store, engine: Engine) -> None:
        """PostgreSQL counts the scans of an index."""
        fill(store, SPACE, 400)
        store.sweep(NOW)
        top(store, SPACE, 0, 5)
        (graph,) = indexes(engine)
        scans = text("SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = :graph")
        with engine.connect() as connection:  # It is the one that has searched, and tells what it has counted itself.
            connection.execute(text("SELECT pg_stat_force_next_flush()"))
            connection.commit()
            assert connection.execute(scans, {"graph": graph}).scalar_one() > 0

    def test_few_that_pass_are_all_found(self, store: Store) -> None:
        """However far from the query they are in the graph."""
        fill(store, SPACE, 400)
        store.sweep(NOW)
        assert sorted(top(store, SPACE, 7, 10, OneOf("rare", (True,)))) == ["d0", "d100", "d200", "d300"]

    def test_a_graph_that_was_never_finished_is_made_again(self, store: Store, engine: Engine) -> None:
        """A crash leaves an index that is not used and in the way."""
        fill(store, SPACE, 400)
        store.sweep(NOW)
        with engine.begin() as connection:
            connection.execute(text("UPDATE namespaces SET graph = false"))
        store.sweep(NOW)
        assert (index_of(store, SPACE), len(indexes(engine)), top(store, SPACE, 3, 1)) == ("hnsw", 1, ["d3"])


class TestWords:
    def test_a_rare_word_weighs_more_than_a_frequent_one(self, store: Store) -> None:
        """BM25, which PostgreSQL's own ranking is not."""
        common = [entry(f"c{i}", f"copper kettle number {i}") for i in range(20)]
        store.upsert(SPACE, [*common, entry("rare", "copper samovar number 99")], NOW)
        (one,) = store.words(SPACE, ["kettle samovar"], 3, None, NOW)
        assert fetched(store, SPACE, [int(one.keys[0])])[int(one.keys[0])].id == "rare"

    def test_scores_are_those_of_bm25(self, store: Store) -> None:
        """Computed by hand: 3 documents of 2, 2 and 5 words; "apple" is in two of them, twice in the last."""
        store.upsert(SPACE, [entry("a", "apple pie"), entry("b", "pear cake"), entry("c", "apple apple x y z")], NOW)
        (one,) = store.words(SPACE, ["Apples"], 3, None, NOW)
        idf = np.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
        expected = [
            idf * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * length / 3)) for times, length in ((2, 5), (1, 2))
        ]
        np.testing.assert_allclose(one.scores, sorted(expected, reverse=True), rtol=1e-5)

    def test_a_long_text_is_stored(self, store: Store) -> None:
        """PostgreSQL has a limit for what it finds by words, which is no reason to refuse a text."""
        long = " ".join(f"word{i}" for i in range(200_000))
        store.upsert(SPACE, [entry("long", long)], NOW)
        (one,) = store.words(SPACE, ["word7"], 3, None, NOW)
        assert len(one.keys) == 1
        assert store.get(SPACE, ["long"], False, NOW)[0].text == long

    @pytest.mark.parametrize(
        "text", ["a/b/c.txt", "ada@example.org", "https://example.org/zebra?x=1", "zebra-crossing"]
    )
    def test_words_inside_of_addresses_and_paths_are_words(self, store: Store, text: str) -> None:
        """PostgreSQL's own parser would make one of the whole."""
        store.upsert(SPACE, [entry("a", text)], NOW)
        (one,) = store.words(SPACE, ["b example zebra"], 3, None, NOW)
        assert len(one.keys) == 1


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (entry("a\0b"), "id"),
        (entry("a", "te\0xt"), "text"),
        (entry("a", tag=["\0"]), "metadata"),
        (entry("a", **{"\0": 1.0}), "metadata"),
    ],
    ids=["id", "text", "value", "name"],
)
def test_nul_characters_are_refused_by_name(store: Store, document: object, field: str) -> None:
    """PostgreSQL has none; who asks for one finds nothing."""
    with pytest.raises(InvalidField, match="NUL") as refused:
        store.upsert(SPACE, [entry("fine", back="\\u0000"), document], NOW)  # type: ignore[list-item]
    assert refused.value.field == f"documents[1].{field}"
    store.upsert(SPACE, [entry("fine", back="\\u0000")], NOW)
    assert ids(store.get(SPACE, ["a\0b", "fine"], False, NOW)) == ["fine"]
    assert store.page(SPACE, "", 5, OneOf("tag", ("\0",)), NOW) == []
    assert ids(store.page(SPACE, "fin\0", 5, None, NOW)) == ["fine"]
    assert [len(one.keys) for one in store.words(SPACE, ["\0fine\0"], 5, None, NOW)] == [1]


def test_a_database_that_is_away_is_said_to_be_and_comes_back(tmp_path: Path) -> None:
    """Nothing of the store has to be opened again."""
    if postgres.missing():
        pytest.skip(f"NOT RUN: {postgres.MISSING}")
    with postgres.server() as server, closing(stores.opened(server.database(), tmp_path)) as store:
        store.upsert(SPACE, [entry("a")], NOW)
        server.kill()
        with pytest.raises(StoreUnreachable):
            store.get(SPACE, ["a"], False, NOW)
        with pytest.raises(StoreUnreachable):
            store.sweep(NOW)
        server.start()
        assert ids(store.get(SPACE, ["a"], False, NOW)) == ["a"]


def test_a_database_that_cannot_be_reached_is_said_to_be(tmp_path: Path) -> None:
    """Without the password."""
    with pytest.raises(StoreUnreachable) as refused:
        stores.opened("postgresql://ada:secret@127.0.0.1:1/documents", tmp_path)
    assert "secret" not in str(refused.value)


def test_a_url_without_a_database_is_refused(tmp_path: Path) -> None:
    """Without the password."""
    with pytest.raises(ModelUnusable, match="is no database") as refused:
        stores.opened("postgresql://ada:secret@127.0.0.1", tmp_path)
    assert "secret" not in str(refused.value)


def test_a_missing_driver_is_named_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every installation has it."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ModelUnusable, match=r"pip install 'waypost\[postgres\]'"):
        stores.opened("postgresql://127.0.0.1:1/documents", tmp_path)


def test_changes_in_each_others_way_are_made_all_the_same(store: Store) -> None:
    """A namespace that is deleted under an upsert is made again; two that would wait for each other do not fail."""

    def work(worker: int) -> None:
        for turn in range(15):
            names = [f"d{i}" for i in range(10)][:: 1 if worker % 2 else -1]
            match (worker + turn) % 4:
                case 0:
                    store.delete(SPACE, None, None, NOW)
                case 1:
                    store.delete(SPACE, None, OneOf("n", (float(turn % 3),)), NOW)
                case _:
                    store.upsert(SPACE, [entry(name, vector=[1, 0], n=float(turn % 3)) for name in names], NOW)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    store.upsert(SPACE, [entry("last", vector=[1, 0])], NOW)
    assert "last" in ids(store.page(SPACE, "", 50, None, NOW))


def test_tables_are_made_by_whoever_comes_first(postgres_url: str, tmp_path: Path) -> None:
    """Beside those of the log of calls, whose revisions are others."""
    engine = database.open_engine(postgres_url)
    database.upgrade(engine)
    engine.dispose()
    for _ in range(2):
        with closing(stores.opened(postgres_url, tmp_path)) as store:
            store.upsert(SPACE, [entry("a")], NOW)


def test_what_is_stored_is_durable_when_it_is_answered(tmp_path: Path) -> None:
    """The server is killed the moment after."""
    if postgres.missing():
        pytest.skip(f"NOT RUN: {postgres.MISSING}")
    with postgres.server() as server, closing(stores.opened(server.database(), tmp_path)) as store:
        for turn in range(3):
            store.upsert(SPACE, [entry(f"d{turn}", vector=[1, turn])], NOW)
            server.kill()
            server.start()
        assert ids(store.page(SPACE, "", 5, None, NOW)) == ["d0", "d1", "d2"]
