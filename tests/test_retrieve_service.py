"""Documents through the whole mesh: a client, a router, a worker's shell, the embedded store."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import waypost
from tests.gateway import Up
from tests.libraries import mesh
from tests.plane import eventually
from waypost.documents import Document, DocumentQuery

GARDEN = (
    Document("rose", "Roses want sun, and to be cut back in March.", {"kind": "shrub", "height": 1.5}),
    Document("moss", "Moss grows in the shade where it is damp.", {"kind": "moss", "height": 0.05}),
    Document("fern", "Ferns like shade and damp soil under old trees.", {"kind": "fern", "height": 0.9}),
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One mesh for all tests that do not end it; each has a namespace of its own."""
    with Up(tmp_path_factory.mktemp("library"), mesh()) as up:
        yield up


@pytest.fixture
def client(library: Up) -> Iterator[waypost.Client]:
    """A client of it."""
    with waypost.Client(library.ready["grpc"], timeout=30.0) as client:
        yield client


def ids(found: Any) -> list[str]:
    return [each.document.id for each in found.documents]


def test_what_was_stored_is_found_at_once_in_every_mode(client: waypost.Client) -> None:
    """The answer to the upsert says what was new."""
    stored = client.upsert(GARDEN, namespace="modes")
    assert (stored.added, stored.replaced, stored.served.model) == (3, 0, "documents")
    for mode in ("dense", "bm25", "hybrid"):
        found = client.query("shade and damp soil", namespace="modes", mode=mode)
        assert ids(found)[0] == "fern", mode
        assert found.documents[0].document == GARDEN[2]
    best = client.query("shade and damp soil", namespace="modes", snippets=1).documents[0]
    assert best.cosine and best.bm25 and best.document.text[best.snippets[0].start : best.snippets[0].end]


def test_a_document_of_the_same_id_takes_the_other_s_place(client: waypost.Client) -> None:
    """In every search."""
    client.upsert(GARDEN, namespace="again")
    stored = client.upsert([Document("moss", "Lichen is a fungus with algae.")], namespace="again")
    assert (stored.added, stored.replaced) == (0, 1)
    assert ids(client.query("fungus with algae", namespace="again"))[0] == "moss"
    assert "moss" not in ids(client.query("Moss grows in the shade", namespace="again", mode="bm25"))
    assert client.namespace("again").documents == 3


def test_only_what_passes_the_filter_is_found(client: waypost.Client) -> None:
    """By any mode."""
    client.upsert(GARDEN, namespace="filtered")
    for mode in ("dense", "bm25", "hybrid"):
        found = client.query("shade", namespace="filtered", mode=mode, filter={"height": {">=": 0.5}, "kind": "fern"})
        assert ids(found) == ["fern"], mode
    assert ids(client.query("shade", namespace="filtered", filter={"kind": ["none"]})) == []


def test_many_queries_are_answered_in_their_order(client: waypost.Client) -> None:
    """Text and vector may be of different things."""
    client.upsert(GARDEN, namespace="many")
    found = client.query(["roses cut back", "moss in the shade", "old trees"], namespace="many", top_k=1)
    assert [result[0].document.id for result in found.results] == ["rose", "moss", "fern"]
    vector = client.embed(["Ferns like shade and damp soil under old trees."], model="hash").vectors[0]
    both = client.query([DocumentQuery("", vector)], namespace="many", top_k=1)
    assert ids(both) == ["fern"]


def test_the_reranker_decides_the_order_where_that_is_asked_for(client: waypost.Client) -> None:
    """And texts may be left out all the same."""
    client.upsert(GARDEN, namespace="reread")
    found = client.query("ferns under old trees", namespace="reread", rerank=True, top_k=2, without_text=True)
    assert ids(found)[0] == "fern" and len(found.documents) == 2
    assert found.documents[0].rerank == found.documents[0].score
    assert found.documents[0].document.text == ""


def test_a_namespace_that_is_not_there_is_said_to_be_missing(client: waypost.Client) -> None:
    """By every call that reads."""
    asks = (
        lambda: client.query("a", namespace="nowhere"),
        lambda: client.namespace("nowhere"),
        lambda: list(client.documents("nowhere")),
    )
    for ask in asks:
        with pytest.raises(waypost.WaypostError) as missing:
            ask()
        assert missing.value.reason.endswith("NAMESPACE_NOT_FOUND")


def test_what_has_expired_is_found_no_more_and_is_in_no_file(library: Up, client: waypost.Client) -> None:
    """By its own time, or the namespace's retention; as soon as it expires, and on disk after the sweep."""
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    secret, kept = "zanzibarquux is the secret", "a document that stays"
    client.upsert(
        [Document("gone", secret, {"who": "wibblewobble"}, expires=soon), Document("stays", kept)], namespace="ttl"
    )
    assert ids(client.query("zanzibarquux", namespace="ttl", mode="bm25")) == ["gone"]
    eventually(lambda: ids(client.query("zanzibarquux", namespace="ttl", mode="bm25")) == [])
    assert client.get(["gone", "stays"], namespace="ttl")[0].id == "stays"
    files = Path(library.env["WAYPOST_HOME"], "documents")

    def traces() -> list[Path]:
        written = [path for path in files.rglob("*") if path.is_file()]
        return [
            path for path in written if b"zanzibarquux" in path.read_bytes() or b"wibblewobble" in path.read_bytes()
        ]

    eventually(lambda: not traces())
    client.set_namespace("ttl", retention=0.5)
    eventually(lambda: client.namespace("ttl").documents == 0)


def test_bad_requests_are_refused_with_the_field_s_name(client: waypost.Client) -> None:
    """Before anything is stored."""

    def why(call: Any) -> str:
        with pytest.raises(waypost.WaypostError) as refused:
            call()
        return str(refused.value)

    assert "namespace" in why(lambda: client.upsert(GARDEN, namespace="../etc"))
    assert "documents[0].vector" in why(lambda: client.upsert([Document("a", "b", vector=np.ones(3))], namespace="bad"))
    assert "documents[1]" in why(lambda: client.upsert([GARDEN[0], Document("a")], namespace="bad"))
    assert "top_k" in why(lambda: client.query("a", namespace="bad", top_k=5000))
    assert "bad" not in [each.name for each in client.namespaces()]


def test_a_namespace_is_listed_page_by_page_and_removed_whole(client: waypost.Client) -> None:
    """By id."""
    client.upsert([Document(f"d{number:03}", f"text {number}") for number in range(250)], namespace="pages")
    assert [each.id for each in client.documents("pages")] == [f"d{number:03}" for number in range(250)]
    assert client.delete(["d000", "d001", "nobody"], namespace="pages") == 2
    assert client.delete_namespace("pages") == 248
    assert "pages" not in [each.name for each in client.namespaces()]


def test_two_workers_do_not_share_the_files(tmp_path: Path) -> None:
    """The second says so and does not start."""
    with Up(tmp_path, mesh()) as up:
        worker = up.process("worker")
        command, env = worker.cmdline(), worker.environ()
        silent = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, env=env, text=True, **silent) as second:
            assert second.stderr
            said = second.stderr.read()
        assert second.returncode != 0 and "another process" in said, said
