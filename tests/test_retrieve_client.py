"""The retriever's calls of both clients: what is sent, what comes back, what is refused before it is sent."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_mesh import FakeMesh, trailing
from waypost import _calls, errors
from waypost import _fields as fields
from waypost._documents import metadata, replies
from waypost.documents import Document, DocumentQuery, Namespace, Snippet
from waypost.v1 import common_pb2, retrieve_pb2

SERVED = common_pb2.ServedBy(model="memory", version="1", instance="local-0")


def struct(**fields: Any) -> Struct:
    made = Struct()
    made.update(fields)
    return made


def test_documents_go_with_all_they_have(mesh: FakeMesh, client: Any) -> None:
    """As objects or as dicts, which may come mixed."""
    mesh.answers["UpsertDocuments"] = lambda request, context: retrieve_pb2.UpsertDocumentsResponse(
        served=SERVED, timings=common_pb2.Timings(total=Duration(seconds=2)), added=2, replaced=1
    )
    done = client.upsert(
        [
            Document("a", "one", {"lang": "en", "tags": ["x", 1], "by": {"name": "Ada"}, "gone": None}),
            {"id": "b", "vector": np.array([0.5, 0.25]), "expires": datetime(2030, 1, 1, tzinfo=UTC)},
            {"id": "c", "text": "three", "vector": [1, 0], "metadata": {}},
        ],
        namespace="handbook",
        model="memory",
        ttl=1.5,
        truncate=True,
        tenant="shop",
    )
    assert (done.added, done.replaced, done.served.model, done.timings.total) == (2, 1, "memory", 2.0)
    assert mesh.requests == [
        retrieve_pb2.UpsertDocumentsRequest(
            model="memory",
            route=common_pb2.RouteHints(tenant="shop"),
            namespace="handbook",
            documents=[
                retrieve_pb2.Document(
                    id="a", text="one", metadata=struct(lang="en", tags=["x", 1], by={"name": "Ada"}, gone=None)
                ),
                retrieve_pb2.Document(
                    id="b",
                    vector=retrieve_pb2.Vector(values=[0.5, 0.25]),
                    expires=Timestamp(seconds=1893456000),
                ),
                retrieve_pb2.Document(id="c", text="three", vector=retrieve_pb2.Vector(values=[1, 0])),
            ],
            ttl=Duration(seconds=1, nanos=500_000_000),
            truncation=common_pb2.TRUNCATION_END,
        )
    ]


def test_batches_of_a_stream_are_answered_in_order(mesh: FakeMesh, client: Any) -> None:
    """A bad one ends the stream with its own error, after the answers of those before it."""

    def answer(requests: Any, context: object) -> Iterator[retrieve_pb2.UpsertDocumentsStreamResponse]:
        for each in requests:
            done = retrieve_pb2.UpsertDocumentsResponse(added=len(each.request.documents))
            yield retrieve_pb2.UpsertDocumentsStreamResponse(response=done)

    mesh.answers["UpsertDocumentsStream"] = answer
    batches = [[Document("a"), Document("b")], [{"id": "c"}]]
    assert [each.added for each in client.upsert_stream(batches, namespace="n")] == [2, 1]
    with pytest.raises(errors.InvalidRequest, match=r"documents\[0\].id"):
        list(client.upsert_stream([[Document("a")], [Document(7)]], namespace="n"))  # type: ignore[arg-type]


def found(id: str, score: float, **more: Any) -> retrieve_pb2.ScoredDocument:
    return retrieve_pb2.ScoredDocument(document=retrieve_pb2.Document(id=id), score=score, **more)


def test_a_query_brings_documents_scores_and_passages(mesh: FakeMesh, client: Any) -> None:
    """Scores that were not looked at are None; the router's word of the call comes with it."""
    first = retrieve_pb2.ScoredDocument(
        document=retrieve_pb2.Document(
            id="leave",
            text="30 days of leave.",
            metadata=struct(year=2026, share=0.5, tags=["a", {"b": None}], done=True),
            vector=retrieve_pb2.Vector(values=[0.6, 0.8]),
            expires=Timestamp(seconds=60),
        ),
        score=0.75,
        cosine=0.5,
        bm25=0.0,
        snippets=[retrieve_pb2.Snippet(text="30 days", start=0, end=7)],
    )
    answer = retrieve_pb2.QueryDocumentsResponse(
        served=SERVED, results=[retrieve_pb2.QueryResult(documents=[first, found("b", 0.5)])]
    )
    mesh.answers["QueryDocuments"] = trailing({"waypost-request-id": "7f3c"}, lambda *_: answer)
    result = client.query("How long may I be away?", namespace="handbook")
    best, second = result.documents
    assert best.document == Document(
        "leave",
        "30 days of leave.",
        {"year": 2026, "share": 0.5, "tags": ["a", {"b": None}], "done": True},
        expires=datetime(1970, 1, 1, 0, 1, tzinfo=UTC),
    )
    assert isinstance(best.document.metadata["year"], int)
    assert best.document.vector.dtype == np.float32
    assert best.document.vector.tolist() == pytest.approx([0.6, 0.8])
    assert (best.score, best.cosine, best.bm25, best.rerank) == (0.75, 0.5, 0.0, None)
    assert best.snippets == (Snippet("30 days", 0, 7),)
    assert (second.cosine, second.document.vector, second.document.expires) == (None, None, None)
    assert (result.served.model, result.routing.request_id) == ("memory", "7f3c")
    assert pickle.loads(pickle.dumps(result)) == result


def test_options_of_a_query_reach_the_request(mesh: FakeMesh, client: Any) -> None:
    """Every keyword has its field in the contract."""
    mesh.answers["QueryDocuments"] = lambda *_: retrieve_pb2.QueryDocumentsResponse()
    result = client.query(
        ["a"],
        namespace="n",
        model="memory",
        top_k=3,
        mode="bm25",
        filter={"lang": "en"},
        rerank=True,
        snippets=2,
        truncate=True,
        without_text=True,
        with_vector=True,
        session="s",
    )
    assert result.documents == ()
    assert mesh.requests == [
        retrieve_pb2.QueryDocumentsRequest(
            model="memory",
            route=common_pb2.RouteHints(session="s"),
            namespace="n",
            queries=[retrieve_pb2.DocumentQuery(text="a")],
            top_k=3,
            mode=retrieve_pb2.QUERY_MODE_BM25,
            filter=retrieve_pb2.Filter(field=retrieve_pb2.FieldTest(field="lang", equals=struct(x="en").fields["x"])),
            rerank=True,
            snippets=2,
            without_text=True,
            with_vector=True,
            truncation=common_pb2.TRUNCATION_END,
        )
    ]


ROW = np.array([1, 0], dtype=np.float64)
QUERIES = [
    ("a", [("a", [])]),
    (["a", "b"], [("a", []), ("b", [])]),
    (ROW, [("", [1, 0])]),
    (np.array([ROW, ROW[::-1]]), [("", [1, 0]), ("", [0, 1])]),
    ([[1, 0]], [("", [1, 0])]),
    (DocumentQuery("a", [1, 0]), [("a", [1, 0])]),
    (["a", ROW, DocumentQuery(vector=ROW)], [("a", []), ("", [1, 0]), ("", [1, 0])]),
]


@pytest.mark.parametrize(("said", "sent"), QUERIES, ids=[str(index) for index in range(len(QUERIES))])
def test_queries_are_texts_vectors_or_both(mesh: FakeMesh, client: Any, said: Any, sent: Any) -> None:
    """One alone needs no list around it."""
    mesh.answers["QueryDocuments"] = lambda *_: retrieve_pb2.QueryDocumentsResponse()
    client.query(said, namespace="n")
    assert [(each.text, list(each.vector.values)) for each in mesh.requests[0].queries] == sent


def test_documents_come_by_id_or_page_by_page(mesh: FakeMesh, client: Any) -> None:
    """`documents` asks for pages until there is none."""
    pages = {"": (["a", "b"], "b"), "b": (["c"], "")}

    def page(request: retrieve_pb2.ListDocumentsRequest, context: object) -> retrieve_pb2.ListDocumentsResponse:
        ids, token = pages[request.page_token]
        documents = [retrieve_pb2.Document(id=id) for id in ids]
        return retrieve_pb2.ListDocumentsResponse(documents=documents, next_page_token=token)

    mesh.answers["ListDocuments"] = page
    mesh.answers["GetDocuments"] = lambda request, context: retrieve_pb2.GetDocumentsResponse(
        documents=[retrieve_pb2.Document(id=id) for id in request.ids]
    )
    assert client.get(["b", "a"], namespace="n", with_vector=True) == (Document("b"), Document("a"))
    assert mesh.requests[0].with_vector
    listed = list(client.documents("n", filter={"a": 1}, page_size=2, model="memory"))
    assert [each.id for each in listed] == ["a", "b", "c"]
    assert {(each.namespace, each.page_size, each.model) for each in mesh.requests[1:]} == {("n", 2, "memory")}
    assert all(each.HasField("filter") for each in mesh.requests[1:])


def test_documents_are_deleted_by_id_or_by_filter(mesh: FakeMesh, client: Any) -> None:
    """An empty filter lets nothing through: it is not sent, and the server refuses the call."""
    mesh.answers["DeleteDocuments"] = lambda request, context: retrieve_pb2.DeleteDocumentsResponse(deleted=2)
    assert client.delete(["a", "b"], namespace="n") == 2
    assert client.delete(namespace="n", filter={"lang": "en"}) == 2
    client.delete(namespace="n", filter={})
    by_id, by_filter, by_nothing = mesh.requests
    assert (list(by_id.ids), by_id.HasField("filter")) == (["a", "b"], False)
    assert (list(by_filter.ids), by_filter.filter.field.field) == ([], "lang")
    assert by_nothing == retrieve_pb2.DeleteDocumentsRequest(namespace="n")


def test_namespaces_are_made_looked_at_and_removed(mesh: FakeMesh, client: Any) -> None:
    """No retention is None on both sides."""
    kept = retrieve_pb2.Namespace(
        name="n", retention=Duration(seconds=60), documents=7, dimensions=384, index="hnsw", unindexed=1
    )
    mesh.answers["SetNamespace"] = lambda *_: retrieve_pb2.SetNamespaceResponse(namespace=kept)
    mesh.answers["GetNamespace"] = lambda *_: retrieve_pb2.GetNamespaceResponse(namespace=kept)
    mesh.answers["ListNamespaces"] = lambda *_: retrieve_pb2.ListNamespacesResponse(
        namespaces=[kept, retrieve_pb2.Namespace(name="o")]
    )
    mesh.answers["DeleteNamespace"] = lambda *_: retrieve_pb2.DeleteNamespaceResponse(deleted=7)
    expected = Namespace("n", 60.0, 7, 384, 0, 0, "hnsw", 1)
    assert client.set_namespace("n", retention=60) == expected
    assert client.set_namespace("n", tenant="shop") == expected
    assert client.namespace("n", model="memory") == expected
    assert client.namespaces()[1].retention is None
    assert client.delete_namespace("n") == 7
    asked, kept_for_good, *_ = mesh.requests
    assert (asked.retention.seconds, kept_for_good.HasField("retention")) == (60, False)
    assert kept_for_good.route.tenant == "shop"


WRONG = [
    ("upsert", ("text",), "documents"),
    ("upsert", ([{"text": "no id"}],), "documents[0]"),
    ("upsert", ([{"id": "a", "lang": "en"}],), "documents[0]"),
    ("upsert", ([Document("a", metadata={"x": {"y": [1, object()]}})],), "documents[0].metadata.x.y[1]"),
    ("upsert", ([Document("a", metadata={"x": float("inf")})],), "documents[0].metadata.x"),
    ("upsert", ([Document("a", metadata={"x": 2**53 + 1})],), "documents[0].metadata.x"),
    ("upsert", ([Document("a", metadata={1: 2})],), "documents[0].metadata key"),  # type: ignore[dict-item]
    ("upsert", ([Document("a", vector=[[1.0]])],), "documents[0].vector"),  # type: ignore[list-item]
    ("upsert", ([Document("a", vector="123")],), "documents[0].vector"),  # type: ignore[arg-type]
    ("upsert", ([Document("a", expires="tomorrow")],), "documents[0].expires"),  # type: ignore[arg-type]
    ("query", ([1.0, 0.0],), "queries[0]"),
    ("query", ([None],), "queries[0]"),
    ("query", ({"a": 1},), "queries"),
    ("get", ("a",), "ids"),
    ("delete", ("a",), "ids"),
]


@pytest.mark.parametrize(("method", "arguments", "field"), WRONG, ids=[f"{each[0]} {each[2]}" for each in WRONG])
def test_what_cannot_be_sent_is_refused_here(client: Any, method: str, arguments: Any, field: str) -> None:
    """The error names the field, as the server's would."""
    with pytest.raises(errors.InvalidRequest) as refused:
        getattr(client, method)(*arguments, namespace="n")
    assert refused.value.field == field


def test_a_mode_that_is_not_there_is_named_with_those_that_are(client: Any) -> None:
    """Before anything is sent."""
    with pytest.raises(errors.InvalidRequest, match="dense, bm25, hybrid"):
        client.query("a", namespace="n", mode="sparse")


def test_calls_of_the_retriever_are_tried_again() -> None:
    """Those that find have no side effects, those that store may be repeated."""
    assert '"waypost.v1.RetrieveService", "method": "QueryDocuments"' in _calls.service_config()
    assert '"waypost.v1.RetrieveService", "method": "UpsertDocuments"' in _calls.service_config()


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.text()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), PLAIN, max_size=4))
def test_metadata_comes_back_as_it_went(said: dict[str, Any]) -> None:
    """Whatever JSON can say; whole numbers as such."""
    assert metadata.plain(metadata.struct("metadata", said)) == said


@given(st.datetimes(datetime(1970, 1, 2), datetime(9999, 1, 1)), st.integers(-12, 12))
def test_moments_of_any_zone_are_the_same_moment(moment: datetime, hours: int) -> None:
    """To the microsecond."""
    zoned = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    sent = retrieve_pb2.Document(expires=fields.timestamp("expires", zoned))
    assert replies.page(retrieve_pb2.ListDocumentsResponse(documents=[sent])).documents[0].expires == zoned
