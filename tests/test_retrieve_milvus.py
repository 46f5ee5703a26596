"""Documents in Milvus: what is its own beside what every store promises (`test_retrieve_stores`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from services.backend import ModelUnusable
from services.refusal import InvalidField, StoreUnreachable
from services.retrieve import milvus, stores
from services.retrieve.store import Entry, Space, Store
from tests.documents import NOW, entry, expires

SPACE = Space("tenant", "docs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where milvus-lite keeps its files."""
    return tmp_path_factory.mktemp("milvus")


@pytest.fixture(scope="module")
def store(folder: Path) -> Iterator[Store]:
    """By milvus-lite."""
    with closing(stores.opened(f"milvus://{folder}/documents.db", folder)) as store:
        yield store


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (entry("b", "ü" * 40_000), "documents[1].text"),
        (entry("b", long="x" * 70_000), "documents[1].metadata"),
        (entry("b", numbers=[float(i) for i in range(1_000)]), "documents[1].metadata"),
    ],
    ids=["text", "metadata", "numbers"],
)
def test_what_is_larger_than_milvus_takes_is_refused(store: Store, document: Entry, field: str) -> None:
    """By name, and nothing is stored of the upsert."""
    with pytest.raises(InvalidField, match="for Milvus") as refused:
        store.upsert(SPACE, [entry("a"), document], NOW)
    assert refused.value.field == field
    assert store.page(SPACE, "", 5, None, NOW) == []


def test_the_longest_text_is_stored(store: Store) -> None:
    """Bytes count, not characters."""
    space = replace(SPACE, name="long")
    store.upsert(space, [entry("a", "ü" * 32_767)], NOW)
    assert len(store.get(space, ["a"], False, NOW)[0].text) == 32_767


def test_nothing_expired_is_left_in_the_files(store: Store, folder: Path) -> None:
    """Of what was stored since the last sweep; of older files, when milvus-lite merges them."""
    space = replace(SPACE, name="secrets")
    documents = [replace(entry("a", "quicksilver"), expires=NOW + 1), entry("b", "cinnabar")]
    store.upsert(space, documents, NOW)
    assert store.sweep(NOW + 2) == 1
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert (b"quicksilver" in written, b"cinnabar" in written) == (False, True)


def test_retention_outlives_the_collection_that_waited_for_documents(store: Store) -> None:
    """A namespace without documents does not know yet which vectors they will have."""
    space = replace(SPACE, name="waiting")
    store.set_retention(space, 60.0)
    store.set_retention(space, 30.0)
    store.upsert(space, [entry("a", vector=[1, 0])], NOW)
    (kept,) = store.get(space, ["a"], False, NOW)
    assert expires(kept) == NOW + 30
    assert store.names(space.tenant).count("waiting") == 1


@pytest.mark.parametrize(
    ("url", "uri", "options"),
    [
        ("milvus:///folder/file.db", "/folder/file.db", {}),
        ("milvus://host", "http://host:19530", {"token": "", "db_name": ""}),
        ("milvus://ada:s%40t@host:1/db", "http://host:1", {"token": "ada:s@t", "db_name": "db"}),
        ("milvus+https://key@host", "https://host:19530", {"token": "key", "db_name": ""}),
    ],
)
def test_urls(url: str, uri: str, options: dict[str, str]) -> None:
    """A file, a server, one with a user, one behind TLS."""
    assert milvus.address(url) == (uri, options)


def test_a_url_of_nothing_is_refused(tmp_path: Path) -> None:
    """It says what is missing."""
    with pytest.raises(ModelUnusable, match="neither a host nor the path of a file"):
        stores.opened("milvus://", tmp_path)


def test_a_server_that_cannot_be_reached_is_said_to_be(tmp_path: Path) -> None:
    """Without the password."""
    with pytest.raises(StoreUnreachable) as refused:
        stores.opened("milvus://ada:secret@127.0.0.1:1", tmp_path)
    assert "secret" not in str(refused.value)
