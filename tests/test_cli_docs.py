"""`waypost docs`: files in, documents found, looked at and taken out; what is wrong is named by file and line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo

from tests.commands import Run
from tests.fake_mesh import FakeMesh, failing
from waypost.cli.where import filter_of
from waypost.v1 import common_pb2, retrieve_pb2

SERVED = common_pb2.ServedBy(model="memory", version="1", instance="local-0")


@pytest.fixture(autouse=True)
def address(mesh: FakeMesh, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The fake mesh is the one that commands call; files are named from where they are."""
    monkeypatch.setenv("WAYPOST_ADDRESS", mesh.address)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def kept(mesh: FakeMesh) -> list[retrieve_pb2.UpsertDocumentsRequest]:
    """What is stored, request by request; three leftovers are deleted."""
    requests: list[retrieve_pb2.UpsertDocumentsRequest] = []

    def store(stream: Any, context: object) -> Iterator[retrieve_pb2.UpsertDocumentsStreamResponse]:
        for each in stream:
            requests.append(each.request)
            done = retrieve_pb2.UpsertDocumentsResponse(added=len(each.request.documents) - 1, replaced=1)
            yield retrieve_pb2.UpsertDocumentsStreamResponse(response=done)

    mesh.answers["UpsertDocumentsStream"] = store
    mesh.answers["DeleteDocuments"] = lambda *_: retrieve_pb2.DeleteDocumentsResponse(deleted=3)
    return requests


def documents(kept: list[retrieve_pb2.UpsertDocumentsRequest]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(each.id, each.text, MessageToDict(each.metadata)) for request in kept for each in request.documents]


def test_texts_are_stored_in_pieces_and_their_leftovers_removed(run: Run, mesh: FakeMesh, kept: Any) -> None:
    """Ids that stay, metadata that say where a piece is from; what a file no longer has is deleted by these."""
    text = "First paragraph, of some length.\n\nSecond one, which is longer than the first.\n"
    Path("a.md").write_text(text)
    done = run("docs", "add", "handbook", "a.md", "--piece", "60", "--ttl", "2h", "--tenant", "shop")
    assert (done.code, done.err) == (0, "")
    assert done.out == "handbook: 1 added, 1 replaced, 3 pieces that are no more removed\n"
    first, second = documents(kept)
    assert first == (
        "a.md#0",
        "First paragraph, of some length.",
        {"path": "a.md", "piece": 0.0, "start": 0.0, "end": 32.0},
    )
    assert second[0] == "a.md#1"
    assert text[int(second[2]["start"]) : int(second[2]["end"])] == second[1]
    assert (kept[0].namespace, kept[0].ttl.seconds, kept[0].route.tenant) == ("handbook", 7200, "shop")
    assert kept[0].truncation == common_pb2.TRUNCATION_END
    (deleted,) = [each for each in mesh.requests if isinstance(each, retrieve_pb2.DeleteDocumentsRequest)]
    assert deleted.route.tenant == "shop"
    path, piece = deleted.filter.any.filters[0].all.filters
    assert (path.field.equals.string_value, piece.field.range.at_least) == ("a.md", 2)


def test_lines_and_rows_are_a_document_each(run: Run, kept: Any, mesh: FakeMesh) -> None:
    """What is not a field of documents is metadata; numbers of a table are numbers, ids and texts are not."""
    lines = [
        {"id": 7, "text": "one", "lang": "en", "metadata": {"year": 2026}, "expires": "2030-01-01T01:00:00+01:00"},
        {"text": "two", "vector": [1, 0]},
    ]
    Path("a.jsonl").write_text("\n\n".join(map(json.dumps, lines)))
    Path("b.csv").write_text('\ufeffkey,body,year,lang,empty,vector\n1,"2,5",2026,en,,"[1, 0]"\n')
    assert run("docs", "add", "n", "a.jsonl").code == 0
    assert run("docs", "add", "n", "b.csv", "--id-field", "key", "--text-field", "body").code == 0
    assert documents(kept) == [
        ("7", "one", {"year": 2026.0, "lang": "en"}),
        ("a.jsonl#3", "two", {}),
        ("1", "2,5", {"year": 2026.0, "lang": "en"}),
    ]
    first, second, third = [each for request in kept for each in request.documents]
    assert first.expires.ToDatetime(UTC) == datetime(2030, 1, 1, tzinfo=UTC)
    assert list(second.vector.values) == list(third.vector.values) == [1, 0]
    assert not [each for each in mesh.requests if isinstance(each, retrieve_pb2.DeleteDocumentsRequest)]


def test_folders_are_read_in_order(run: Run, kept: Any) -> None:
    """Texts and tables, or what is asked for; hidden files are not."""
    for name in ("d/b.txt", "d/a/c.md", "d/.git/x.md", "d/skipped.py"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    run("docs", "add", "n", "d")
    run("docs", "add", "n", "d", "--glob", "*.py")
    assert [id for id, *_ in documents(kept)] == ["d/a/c.md#0", "d/b.txt#0", "d/skipped.py#0"]


def test_many_documents_go_in_batches(run: Run, kept: Any) -> None:
    """From standard input too; the sum is told at the end."""
    done = run("docs", "add", "n", "-", "--json", stdin="\n".join(f'{{"id": "{i}"}}' for i in range(130)))
    assert [len(request.documents) for request in kept] == [64, 64, 2]
    assert done.json == {"files": 1, "added": 127, "replaced": 3, "removed": 0}


BROKEN = [
    ("a.jsonl", '{"id": 1}\n{"id": ', "a.jsonl:2: no JSON"),
    ("a.jsonl", "[1]", "a.jsonl:1: no JSON object"),
    ("a.jsonl", '{"text": 5}', "a.jsonl:1: `text` must be text"),
    ("a.jsonl", '{"id": 1, "expires": "soon"}', "a.jsonl:1: `expires` is no moment"),
    ("a.jsonl", '{"id": 1, "n": 9007199254740993}', "1: documents[0].metadata.n is 9007199254740993"),
    ("a.csv", "id,text\n1,2,3\n", "a.csv:2: more cells"),
    ("a.csv", 'id,text\n1,"2', "a.csv: no table after line 1"),
    ("a.txt", "\udcff", "a.txt: not UTF-8 at byte 0"),
]


@pytest.mark.parametrize(("name", "text", "told"), BROKEN, ids=[told[:20] for *_, told in BROKEN])
def test_what_cannot_be_read_is_named_by_file_and_line(run: Run, kept: Any, name: str, text: str, told: str) -> None:
    """One line, and nothing else."""
    Path(name).write_bytes(text.encode(errors="surrogateescape"))
    done = run("docs", "add", "n", name)
    assert done.code in (1, 2)
    assert done.out == ""
    assert done.err.startswith(f"waypost: {told}")
    assert done.err.count("\n") == 1


def test_files_that_are_not_there_are_told_before_anything_is_sent(run: Run, mesh: FakeMesh) -> None:
    """Also when others are."""
    Path("a.txt").write_text("a")
    done = run("docs", "add", "n", "a.txt", "b.txt")
    assert (done.code, done.err) == (1, "waypost: no such file or folder: b.txt\n")
    assert not mesh.requests


def test_a_refused_document_is_named_by_its_id(run: Run, mesh: FakeMesh) -> None:
    """The server knows only its place in the batch; what was kept before it is told."""
    refuse = failing(
        grpc.StatusCode.INVALID_ARGUMENT,
        "documents[1].text has 2000000 bytes",
        ErrorInfo(reason="ERROR_REASON_TEXT_TOO_LARGE", domain="waypost"),
        BadRequest(field_violations=[BadRequest.FieldViolation(field="documents[1].text")]),
    )

    def answer(stream: Any, context: Any) -> Iterator[retrieve_pb2.UpsertDocumentsStreamResponse]:
        done = retrieve_pb2.UpsertDocumentsResponse(added=len(next(stream).request.documents))
        yield retrieve_pb2.UpsertDocumentsStreamResponse(response=done)
        next(stream)
        refuse(None, context)

    mesh.answers["UpsertDocumentsStream"] = answer
    done = run("docs", "add", "n", "-", stdin="\n".join(f'{{"id": "d{i}"}}' for i in range(70)))
    assert done.code == 2
    assert done.err == "waypost: d65: documents[1].text has 2000000 bytes; 64 documents before it are kept\n"


def test_what_is_found_is_a_table_with_passages(run: Run, mesh: FakeMesh) -> None:
    """Columns that say nothing are left out; text of documents is no markup."""
    best = retrieve_pb2.ScoredDocument(
        document=retrieve_pb2.Document(id="leave", text="All of it."),
        score=0.03125,
        cosine=0.5,
        snippets=[retrieve_pb2.Snippet(text="[bold]30 days\nof leave", start=4, end=20)],
    )
    other = retrieve_pb2.ScoredDocument(document=retrieve_pb2.Document(id="b", text="Other."), score=0.015, bm25=2.0)
    mesh.answers["QueryDocuments"] = lambda *_: retrieve_pb2.QueryDocumentsResponse(
        served=SERVED, results=[retrieve_pb2.QueryResult(documents=[best, other])]
    )
    done = run(
        *("docs", "query", "handbook", "How long?", "-k", "3", "--mode", "hybrid", "--snippets", "2", "--rerank"),
        *("--where", "year>=2020", "--where", "lang=en", "--model", "memory"),
    )
    lines = done.out.splitlines()
    assert "2 found" in lines[0]
    assert "meaning" in done.out and "words" in done.out and "reranked" not in done.out
    (row,) = [line for line in lines if "leave" in line]
    assert "0.031" in row and "0.500" in row and "[bold]30 days of leave" in row
    assert "Other." in done.out and "memory 1 on local-0" in lines[-1]
    (sent,) = mesh.requests
    assert (sent.namespace, sent.top_k, sent.snippets, sent.rerank) == ("handbook", 3, 2, True)
    assert (sent.mode, sent.model, sent.queries[0].text) == (retrieve_pb2.QUERY_MODE_HYBRID, "memory", "How long?")
    assert len(sent.filter.all.filters) == 2


def test_nothing_found_is_no_failure(run: Run, mesh: FakeMesh) -> None:
    """An empty table, or an empty list."""
    mesh.answers["QueryDocuments"] = lambda *_: retrieve_pb2.QueryDocumentsResponse(
        results=[retrieve_pb2.QueryResult()]
    )
    assert "0 found" in run("docs", "query", "n", "x").out
    assert run("docs", "query", "n", "x", "--json").json["results"] == [[]]


def metadata(**fields: Any) -> Struct:
    made = Struct()
    made.update(fields)
    return made


def test_documents_are_shown_whole(run: Run, mesh: FakeMesh) -> None:
    """Those that are not there are a failure."""
    here = retrieve_pb2.Document(
        id="a", text="All of it.\nAll.", metadata=metadata(year=2026), expires=Timestamp(seconds=1)
    )
    mesh.answers["GetDocuments"] = lambda *_: retrieve_pb2.GetDocumentsResponse(documents=[here])
    done = run("docs", "get", "n", "a")
    assert done.out.splitlines()[:2] == ["a", 'metadata: {"year": 2026}']
    assert done.out.endswith("All of it.\nAll.\n") and "until: 1970-01-01" in done.out
    missing = run("docs", "get", "n", "a", "b")
    assert (missing.code, missing.out, missing.err) == (1, "", "waypost: not in n: b\n")
    (one,) = run("docs", "get", "n", "a", "--json").json
    assert (one["metadata"], one["vector"], one["expires"]) == ({"year": 2026}, None, "1970-01-01T00:00:01+00:00")


def test_lists_end_where_they_should(run: Run, mesh: FakeMesh) -> None:
    """No page is asked for that nobody wants."""

    def page(request: retrieve_pb2.ListDocumentsRequest, context: object) -> retrieve_pb2.ListDocumentsResponse:
        begin = int(request.page_token or 0)
        size = request.page_size or 100
        documents = [retrieve_pb2.Document(id=f"{i:03}", text="t") for i in range(begin, begin + size)]
        return retrieve_pb2.ListDocumentsResponse(documents=documents, next_page_token=str(begin + size))

    mesh.answers["ListDocuments"] = page
    assert len(run("docs", "list", "n", "--json").json) == 20
    assert "002" in run("docs", "list", "n", "-n", "3", "--where", "lang").out
    assert [each.page_size for each in mesh.requests] == [20, 3]
    assert mesh.requests[1].filter.field.exists


def test_deleting_needs_to_be_told_what(run: Run, mesh: FakeMesh) -> None:
    """By one of three ways."""
    mesh.answers["DeleteDocuments"] = lambda *_: retrieve_pb2.DeleteDocumentsResponse(deleted=2)
    mesh.answers["DeleteNamespace"] = lambda *_: retrieve_pb2.DeleteNamespaceResponse(deleted=9)
    assert run("docs", "delete", "n", "a", "b").out == "n: 2 removed\n"
    assert run("docs", "delete", "n", "--where", "!lang").out == "n: 2 removed\n"
    assert run("docs", "delete", "n", "--all", "--json").json == {"deleted": 9}
    assert (list(mesh.requests[0].ids), mesh.requests[1].filter.field.field) == (["a", "b"], "lang")
    for wrong in (["n"], ["n", "a", "--all"], ["n", "a", "--where", "lang"]):
        refused = run("docs", "delete", *wrong)
        assert (refused.code, refused.out) == (2, "")
    assert len(mesh.requests) == 3


def test_namespaces_are_listed_and_set(run: Run, mesh: FakeMesh) -> None:
    """How long they keep what is in them, and what they take."""
    kept = retrieve_pb2.Namespace(
        name="handbook",
        retention=Duration(seconds=90000),
        documents=7,
        dimensions=384,
        index="hnsw",
        unindexed=2,
        disk_bytes=3 * 2**20,
    )
    mesh.answers["ListNamespaces"] = lambda *_: retrieve_pb2.ListNamespacesResponse(namespaces=[kept])
    mesh.answers["SetNamespace"] = lambda *_: retrieve_pb2.SetNamespaceResponse(namespace=kept)
    shown = run("docs", "namespaces").out
    for word in ("handbook", "384 x, hnsw, 2 not yet in it", "1 day, 1:00:00", "3.0 MiB"):
        assert word in shown
    assert run("docs", "set", "handbook", "--retention", "30d", "--json").json["documents"] == 7
    assert run("docs", "set", "handbook", "--retention", "forever").code == 0
    assert run("docs", "set", "handbook", "--retention", "soon").code == 2
    assert run("docs", "set", "handbook").code == 2
    assert [each.retention.seconds for each in mesh.requests[1:]] == [30 * 86400, 0]
    assert not mesh.requests[2].HasField("retention")


CONDITIONS = [
    (["lang=en"], {"lang": "en"}),
    (["year>=2020"], {"year": {">=": 2020}}),
    (["year < 2.5"], {"year": {"<": 2.5}}),
    (["lang != en"], {"lang": {"!=": "en"}}),
    (["done=true"], {"done": True}),
    (['zip="01234"'], {"zip": "01234"}),
    (["zip=01234"], {"zip": "01234"}),
    (["what=NaN"], {"what": "NaN"}),
    (["what=a=b"], {"what": "a=b"}),
    (["author.name"], {"author.name": {"exists": True}}),
    (["!author.name"], {"author.name": {"exists": False}}),
    (['{"tag": ["a"]}'], {"tag": ["a"]}),
    (["a=1", "b=2"], {"$and": [{"a": 1}, {"b": 2}]}),
    ([], None),
]


@pytest.mark.parametrize(("said", "meant"), CONDITIONS, ids=[" ".join(said) for said, _ in CONDITIONS])
def test_conditions_are_filters_of_the_client(said: list[str], meant: Any) -> None:
    """Numbers and truth values as such, everything else is text."""
    assert filter_of(said) == meant


@pytest.mark.parametrize("wrong", ["", "!", "=x", "!a=b=", "{}", '{"a"', "a!"])
def test_conditions_that_say_nothing_are_wrong_usage(run: Run, mesh: FakeMesh, wrong: str) -> None:
    """Before anything is sent."""
    done = run("docs", "query", "n", "x", "--where", wrong)
    assert (done.code, done.out) == (2, "")
    assert not mesh.requests
