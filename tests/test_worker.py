"""The worker as its clients meet it: answers, the queue before the sessions, and the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration

from tests.plane import (
    DIMENSIONS,
    Node,
    Plane,
    Session,
    classify,
    embed,
    eventually,
    failure,
    hashed,
    hints,
    rerank,
    vectors,
)
from waypost.v1 import common_pb2, embed_pb2, mesh_pb2

Code = grpc.StatusCode
LOW, NORMAL, HIGH = common_pb2.PRIORITY_LOW, common_pb2.PRIORITY_NORMAL, common_pb2.PRIORITY_HIGH


@pytest.fixture
def session() -> Session:
    """The one session of the model `m`."""
    return Session()


@pytest.fixture
def worker(plane: Plane, session: Session) -> Node:
    """A worker with one model of one session."""
    return plane.worker(plane.model(session, version="7", heads=[plane.head()]))


def occupied(worker: Node, session: Session) -> Any:
    """A call that holds the session until its gate is opened."""
    session.gate.clear()
    call = worker.start(embed("first"))
    assert session.next() == "first"
    return call


def seconds(duration: Duration) -> float:
    return duration.ToTimedelta().total_seconds()


# Answers


def test_vectors_are_the_session_s_in_the_order_of_the_texts(worker: Node) -> None:
    """Little-endian float32, row after row."""
    reply = worker.call(embed("red car", "blue boat", "green tree"))
    assert np.array_equal(vectors(reply), hashed("red car", "blue boat", "green tree"))
    assert [usage.tokens for usage in reply.usage] == [8, 10, 11]


@pytest.mark.parametrize("request_", [embed("a"), classify("a"), rerank("a", "b")], ids=["embed", "classify", "rerank"])
def test_an_answer_says_who_gave_it_and_where_the_time_went(worker: Node, request_: Any) -> None:
    """Model, version and instance; the stages are parts of the total."""
    reply = worker.call(request_)
    assert (reply.served.model, reply.served.version, reply.served.instance) == ("m", "7", "w")
    stages = [seconds(stage) for stage in (reply.timings.queue, reply.timings.tokenize, reply.timings.inference)]
    assert all(stage > 0 for stage in stages)
    assert max(stages) <= seconds(reply.timings.total)


def test_time_spent_waiting_for_a_session_is_told_as_such(worker: Node, session: Session) -> None:
    """A call that waits behind another has the wait in `queue` and not in `inference`."""
    first = occupied(worker, session)
    second = worker.start(embed("second"))
    eventually(lambda: worker.waiting() == 2)
    session.gate.set()
    timings = second.result().timings
    assert seconds(timings.queue) > seconds(timings.inference)
    first.result()


def test_a_long_text_loses_its_end_only_when_asked(worker: Node) -> None:
    """TRUNCATION_END keeps the beginning and says where."""
    reply = worker.call(embed("short", "a" * 50, truncation=common_pb2.TRUNCATION_END))
    assert [(usage.tokens, usage.truncated) for usage in reply.usage] == [(7, False), (32, True)]
    assert np.array_equal(vectors(reply)[1], hashed("a" * 30)[0])


def test_tokens_are_counted_without_a_run(worker: Node, session: Session) -> None:
    """Special ones included, whatever the limit."""
    reply = worker.call(embed_pb2.CountTokensRequest(texts=["abc", "a" * 50, ""]))
    assert list(reply.tokens) == [5, 52, 2]
    assert session.ran == []


def test_a_stream_answers_its_requests_in_their_order(worker: Node) -> None:
    """One response per request."""
    replies = worker.stream(embed(text) for text in ("one", "two", "three", "four", "five", "six"))
    rows = [vectors(reply.response)[0] for reply in replies]
    assert np.array_equal(rows, hashed("one", "two", "three", "four", "five", "six"))


def test_labels_come_from_the_head_that_was_named_best_first(plane: Plane) -> None:
    """A head over the text's vector: each label's weights are the vector of one text."""
    texts = ("play music", "stop music", "buy milk")
    head = plane.head(
        "intent",
        labels=("play", "stop", "buy"),
        bias=np.zeros(3, np.float32),
        matrices={"weight": (20 * hashed(*texts)).astype(np.float16)},
    )
    worker = plane.worker(plane.model(Session(), heads=[plane.head(), head]))
    reply = worker.call(classify(*texts, head="intent"))
    assert reply.head == "intent"
    assert [result.labels[0].label for result in reply.results] == ["play", "stop", "buy"]
    for result in reply.results:
        scores = [label.score for label in result.labels]
        assert sum(scores) == pytest.approx(1.0)
        assert scores == sorted(scores, reverse=True)


def test_a_head_over_words_alone_needs_no_encoder(plane: Plane) -> None:
    """The hash model classifies by hashed n-grams, and the encoder's session is spared too."""
    weights = np.stack([20 * hashed_features("good day"), 20 * hashed_features("bad luck")]).astype(np.float16)
    head = plane.head(bias=np.zeros(2, np.float32), matrices={"hashed": weights})
    session = Session()
    worker = plane.worker(plane.hash_model(heads=[head]), plane.model(session, heads=[head]))
    for model in ("hash", "m"):
        reply = worker.call(classify("good day", "bad luck", model=model))
        assert [result.labels[0].label for result in reply.results] == ["glad", "sad"]
    assert session.ran == []


def hashed_features(text: str) -> np.ndarray:
    """The hash vector as a head sees it."""
    return hashed(text)[0]


def test_top_k_and_threshold_leave_labels_out(worker: Node) -> None:
    """By default all are returned; the bias of the head alone gives 0.73 and 0.27."""
    both, best, sure = (
        worker.call(classify("a", **cut)).results[0].labels for cut in ({}, {"top_k": 1}, {"threshold": 0.5})
    )
    assert [(label.label, round(label.score, 2)) for label in both] == [("glad", 0.73), ("sad", 0.27)]
    assert list(best) == list(sure) == list(both)[:1]


def test_a_text_unlike_the_training_data_is_out_of_scope(plane: Plane) -> None:
    """By the energy of the logits against the head's threshold."""
    heads = [plane.head("strict", energy_threshold=-9.0), plane.head("lenient", energy_threshold=9.0)]
    worker = plane.worker(plane.model(Session(), heads=heads))
    strict, lenient = (worker.call(classify("a", head=name)).results[0] for name in ("strict", "lenient"))
    assert (strict.out_of_scope, lenient.out_of_scope) == (True, False)
    assert strict.energy == pytest.approx(-np.logaddexp(2, 1), rel=1e-5)


def test_a_sequence_classifier_answers_with_its_own_labels(plane: Plane) -> None:
    """Its head is named "default" and need not be named."""
    logits = Session(lambda *texts: np.log([[1, 3, 6]] * len(texts)).astype(np.float32))
    worker = plane.worker(plane.model(logits, kind="sequence_classifier", labels=["low", "mid", "top"]))
    reply = worker.call(classify("a"))
    found = [(label.label, round(label.score, 3)) for label in reply.results[0].labels]
    assert (reply.head, found) == ("default", [("top", 0.6), ("mid", 0.3), ("low", 0.1)])


def test_documents_are_ordered_by_meaning_and_words(worker: Node) -> None:
    """Without a cross-encoder: cosine fused with BM25."""
    reply = worker.call(rerank("red car", "a blue boat", "the red car", "one green tree"))
    assert reply.method == "cosine+bm25"
    assert reply.ranking[0].index == 1
    assert sorted(ranked.index for ranked in reply.ranking) == [0, 1, 2]
    assert len(reply.usage) == 3
    (best,) = worker.call(rerank("red car", "a blue boat", "the red car", top_k=1)).ranking
    assert best.index == 1


def test_a_cross_encoder_reads_query_and_document_together(plane: Plane) -> None:
    """It sees both texts, the document's tokens marked as the second segment."""

    def document_length(ids: Any, mask: Any, types: Any) -> Any:
        return types.sum(axis=1, keepdims=True).astype(np.float32)

    worker = plane.worker(plane.model(document_length, kind="cross_encoder"))
    reply = worker.call(rerank("q", "aa", "aaaa", "a"))
    assert reply.method == "cross-encoder"
    assert [(ranked.index, ranked.score) for ranked in reply.ranking] == [(1, 5.0), (0, 3.0), (2, 2.0)]


# One run per text


def test_a_text_that_comes_twice_in_a_call_runs_once(worker: Node, session: Session) -> None:
    """All of its rows are there."""
    reply = worker.call(embed("aa", "bb", "aa", "aa"))
    assert np.array_equal(vectors(reply), hashed("aa", "bb", "aa", "aa"))
    assert session.ran == ["aa", "bb"]


def test_one_run_of_a_text_serves_embed_classify_and_rerank(worker: Node, session: Session) -> None:
    """Whichever task asks first."""
    worker.call(embed("red car"))
    worker.call(classify("red car", "blue boat"))
    worker.call(rerank("red car", "blue boat", "green tree"))
    assert sorted(session.ran) == ["blue boat", "green tree", "red car"]


def test_without_a_cache_each_call_runs(plane: Plane, session: Session) -> None:
    """`vector_cache` = 0."""
    worker = plane.worker(plane.model(session), vector_cache=0)
    worker.call(embed("a"))
    worker.call(embed("a"))
    assert session.ran == ["a", "a"]


def test_texts_are_run_together_only_where_the_model_wants_it(plane: Plane) -> None:
    """Each alone by default; those of one length, unpadded; or padded and masked up to the token budget."""
    shapes: dict[str, list[tuple[int, ...]]] = {"alone": [], "equal": [], "budget": []}

    def runner(name: str) -> Callable[..., Any]:
        def run(ids: Any, mask: Any, types: Any) -> Any:
            shapes[name].append(ids.shape)
            return hashed(*("x" for _ in ids)) * mask.sum(axis=1, keepdims=True).astype(np.float32)

        return run

    room = {"token_budget": 64, "max_rows": 8}
    plans = {"alone": {"mode": "single"}, "equal": {"mode": "equal"} | room, "budget": {"mode": "budget"} | room}
    models = [plane.model(runner(name), name=name, batching=plan) for name, plan in plans.items()]
    worker = plane.worker(*models)
    for name in shapes:
        reply = worker.call(embed("a", "bb", "ccc", "d", model=name))
        lengths = np.linalg.norm(vectors(reply), axis=1)
        assert np.allclose(lengths, [3, 4, 5, 3])
    assert shapes == {"alone": [(1, 3), (1, 4), (1, 5), (1, 3)], "equal": [(2, 3), (1, 4), (1, 5)], "budget": [(4, 5)]}


def test_a_run_leaves_the_other_sessions_their_share(plane: Plane) -> None:
    """Two texts and two sessions: one each, though both would fit one run."""
    sessions = (Session(), Session())
    plan = {"mode": "equal", "token_budget": 64, "max_rows": 8}
    worker = plane.worker(plane.model(*sessions, batching=plan))
    for session in sessions:
        session.gate.clear()
    call = worker.start(embed("aa", "bb"))
    assert sorted(session.next() for session in sessions) == ["aa", "bb"]
    for session in sessions:
        session.gate.set()
    call.result()


def test_what_fails_together_is_tried_one_by_one(plane: Plane) -> None:
    """A text that a session cannot run takes nobody along."""

    def answer(*texts: str) -> Any:
        if "x" in texts:
            raise ValueError("not this one")
        return hashed(*texts)

    session = Session(answer)
    session.gate.clear()
    plan = {"mode": "equal", "token_budget": 64, "max_rows": 8}
    worker = plane.worker(plane.model(session, batching=plan))
    first = worker.start(embed("first"))
    session.next()
    good, bad = worker.start(embed("a", "b")), worker.start(embed("x"))
    eventually(lambda: worker.waiting() >= 3)
    session.gate.set()
    first.result()
    assert failure(bad).reason == "MODEL_FAILED"
    assert np.array_equal(vectors(good.result()), hashed("a", "b"))
    assert session.ran[1:4] in (["a", "b", "x"], ["x", "a", "b"])


# The queue


def test_work_whose_deadline_passes_in_the_queue_is_not_run(plane: Plane, session: Session) -> None:
    """DEADLINE_EXCEEDED, with the stage it was in; nobody waits for the session."""
    worker = plane.worker(plane.model(session), default_timeout_s=0.1)
    first = occupied(worker, session)
    late = worker.failure(embed("late"), timeout=None)
    assert (late.code, late.reason) == (Code.DEADLINE_EXCEEDED, "DEADLINE")
    assert late.metadata == {"stage": "queue"}
    session.gate.set()
    first.result()
    worker.call(embed("next"))
    assert session.ran == ["first", "next"]


def test_a_deadline_that_passes_in_a_run_says_so(plane: Plane, session: Session) -> None:
    """The run itself cannot be stopped, its caller is told at once."""
    worker = plane.worker(plane.model(session), default_timeout_s=0.1)
    session.gate.clear()
    late = worker.failure(embed("slow"), timeout=None)
    assert (late.code, late.metadata) == (Code.DEADLINE_EXCEEDED, {"stage": "inference"})


def test_work_whose_caller_left_is_not_run(worker: Node, session: Session) -> None:
    """A cancelled call gives its room in the queue back when its turn would come."""
    first = occupied(worker, session)
    gone = worker.start(embed("gone"))
    eventually(lambda: worker.waiting() == 2)
    gone.cancel()
    eventually(lambda: in_flight(worker) == 1)
    session.gate.set()
    first.result()
    worker.call(embed("next"))
    assert session.ran == ["first", "next"]
    assert worker.waiting() == 0


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(plane: Plane, session: Session) -> None:
    """The session is held all the while, so nobody can have waited for it."""
    worker = plane.worker(plane.model(session), limits={"queue_limit": 3})
    first = occupied(worker, session)
    waits = worker.start(embed("second", "third"))
    eventually(lambda: worker.waiting() == 3)
    full = worker.failure(embed("fourth"))
    assert (full.code, full.reason, full.metadata) == (Code.RESOURCE_EXHAUSTED, "QUEUE_FULL", {"limit": "3"})
    assert full.retry_after_s and full.retry_after_s > 0
    session.gate.set()
    assert first.result() and waits.result()
    assert worker.call(embed("fourth"))


def test_the_urgent_goes_first(worker: Node, session: Session) -> None:
    """Priority, then the deadline, then the order of arrival."""
    calls = [occupied(worker, session)]
    waiting = {"low": (LOW, 15.0), "later": (NORMAL, 15.0), "sooner": (NORMAL, 4.0), "high": (HIGH, 15.0)}
    for text, (priority, timeout) in waiting.items():
        calls.append(worker.start(embed(text, route=hints(priority=priority)), timeout))
        eventually(lambda: worker.waiting() == len(calls))
    session.gate.set()
    for call in calls:
        call.result()
    assert session.ran == ["first", "high", "sooner", "later", "low"]


def test_who_has_time_does_not_wait_for_all_who_have_less(worker: Node, session: Session) -> None:
    """Calls that are not urgent are served as they came."""
    calls = [occupied(worker, session)]
    for text, timeout in {"patient": 600.0, "hurried": 15.0}.items():
        calls.append(worker.start(embed(text), timeout))
        eventually(lambda: worker.waiting() == len(calls))
    session.gate.set()
    for call in calls:
        call.result()
    assert session.ran == ["first", "patient", "hurried"]


@pytest.mark.parametrize("leave", ["cancel", "timeout", "close"])
def test_nothing_is_left_of_a_call_that_ended_early(worker: Node, session: Session, leave: str) -> None:
    """Its places in the counters are given back, however it ended."""
    session.gate.clear()
    other = worker.dial()
    reply = embed_pb2.EmbedResponse.FromString
    send = other.unary_unary("/waypost.v1.EmbedService/Embed", embed_pb2.EmbedRequest.SerializeToString, reply)
    call = send.future(embed("aa", "bb"), timeout=0.2 if leave == "timeout" else None)
    session.next()
    assert (in_flight(worker), worker.waiting()) == (1, 2)
    {"cancel": call.cancel, "timeout": call.exception, "close": other.close}[leave]()
    eventually(lambda: in_flight(worker) == 0)
    session.gate.set()
    eventually(lambda: worker.waiting() == 0)
    other.close()


def in_flight(worker: Node) -> int:
    """Calls inside."""
    (instance,) = worker.call(mesh_pb2.ListInstancesRequest()).instances
    return instance.in_flight


# Sessions that fail


def wrong_type(*texts: str) -> Any:
    return hashed(*texts).astype(np.float64)


def wrong_rows(*texts: str) -> Any:
    return hashed(*texts, "one more")


def wrong_width(*texts: str) -> Any:
    return hashed(*texts)[:, : DIMENSIONS // 2]


def no_matrix(*texts: str) -> Any:
    return hashed(*texts)[0]


def nothing(*texts: str) -> Any:
    return None


def not_finite(*texts: str) -> Any:
    return np.full((len(texts), DIMENSIONS), np.nan, np.float32)


def raising(*texts: str) -> Any:
    raise RuntimeError("the weights are gone")


@pytest.mark.parametrize("task", [embed, classify, lambda text: rerank("q", text)], ids=["embed", "classify", "rerank"])
@pytest.mark.parametrize(
    "answer", [wrong_type, wrong_rows, wrong_width, no_matrix, nothing, not_finite, raising], ids=lambda f: f.__name__
)
def test_a_run_that_fails_costs_its_own_call_only(
    worker: Node, session: Session, answer: Callable[..., Any], task: Callable[[str], Any]
) -> None:
    """INTERNAL with the model's name; nothing of it is kept, and the session goes on."""
    session.answer = answer
    failed = worker.failure(task("a"))
    assert (failed.code, failed.reason, failed.metadata) == (Code.INTERNAL, "MODEL_FAILED", {"model": "m"})
    session.answer = hashed
    assert np.array_equal(vectors(worker.call(embed("a"))), hashed("a"))


def test_the_message_of_a_failed_run_is_the_session_s_own(worker: Node, session: Session) -> None:
    """It names the model and says why."""
    session.answer = raising
    failed = worker.failure(embed("a"))
    assert "'m'" in failed.message.replace('"', "'")
    assert "the weights are gone" in failed.message


def test_other_models_go_on_while_one_fails(plane: Plane, session: Session) -> None:
    """A call on another model is under way while the failure happens."""
    worker = plane.worker(plane.model(session, name="good"), plane.model(Session(raising), name="bad"))
    session.gate.clear()
    good = worker.start(embed("a", model="good"))
    session.next()
    assert worker.failure(embed("a", model="bad")).metadata == {"model": "bad"}
    session.gate.set()
    assert np.array_equal(vectors(good.result()), hashed("a"))


def test_a_classifier_with_fewer_logits_than_labels_fails_in_words(plane: Plane) -> None:
    """And not by a broken connection."""
    logits = Session(lambda *texts: np.zeros((len(texts), 2), np.float32))
    worker = plane.worker(plane.model(logits, kind="sequence_classifier", labels=["low", "mid", "top"]))
    failed = worker.failure(classify("a"))
    assert (failed.code, failed.reason) == (Code.INTERNAL, "MODEL_FAILED")


# What it says of itself


def test_a_worker_describes_its_models(plane: Plane) -> None:
    """What a router needs to choose."""
    head = plane.head("mood", experimental=True)
    model = plane.model(Session(), version="3", tags=["fast"], tier="simple", heads=[head], quality=0.75)
    described = plane.worker(model, plane.hash_model(), name="w-0").described()
    assert (described.instance, described.version, described.queue_limit) == ("w-0", "0.1.0", 4096)
    encoder, hashing = described.models
    assert (encoder.name, encoder.version, encoder.backend) == ("m", "3", "fake")
    assert list(encoder.tasks) == [mesh_pb2.TASK_EMBED, mesh_pb2.TASK_CLASSIFY, mesh_pb2.TASK_RERANK]
    assert (list(encoder.tags), encoder.tier, encoder.quality) == (["fast"], common_pb2.TIER_SIMPLE, 0.75)
    assert (encoder.dimensions, encoder.max_tokens) == (DIMENSIONS, 32)
    assert [(each.name, list(each.labels), each.experimental) for each in encoder.heads] == [
        ("mood", ["glad", "sad"], True)
    ]
    assert list(hashing.tasks) == [mesh_pb2.TASK_EMBED, mesh_pb2.TASK_RERANK]


def test_health_tells_services_and_models_apart(plane: Plane) -> None:
    """One name for the whole, one per service, one per model; others are NOT_FOUND or watched as unknown."""
    worker = plane.worker(plane.hash_model())
    assert {name: worker.health(name) for name in ("", "waypost.v1.EmbedService", "models/hash")} == {
        "": "SERVING",
        "waypost.v1.EmbedService": "SERVING",
        "models/hash": "SERVING",
    }
    assert worker.health("waypost.v1.ClassifyService") == "NOT_SERVING"
    with pytest.raises(grpc.RpcError) as unknown:
        worker.health("models/other")
    assert unknown.value.code() is Code.NOT_FOUND
    assert next(worker.watch("models/other")) == "SERVICE_UNKNOWN"


def test_a_worker_also_listens_on_a_port(plane: Plane) -> None:
    """Port 0 takes a free one, and the address says which."""
    worker = plane.worker(plane.hash_model(), listen="127.0.0.1:0")
    host, _, port = worker.address.rpartition(":")
    assert host == "127.0.0.1" and int(port) > 0
    assert worker.call(embed("a")).served.model == "hash"


# The end


def test_a_drain_flips_health_first_and_lets_the_calls_inside_end(plane: Plane, session: Session) -> None:
    """Watch hears of it while a call is held; new calls are UNAVAILABLE; the held one is answered."""
    worker = plane.worker(plane.model(session), plane.hash_model())
    watched = worker.watch("models/m")
    assert next(watched) == "SERVING"
    held = occupied(worker, session)
    drained = worker.drain(2.0)
    assert next(watched) == "NOT_SERVING"
    assert not held.done()
    assert list(watched) == []
    eventually(lambda: refused(worker, embed("new", model="hash")))
    session.gate.set()
    assert np.array_equal(vectors(held.result()), hashed("first"))
    assert drained.result()


def refused(worker: Node, request: Any) -> bool:
    """Whether a new connection is of no use."""
    with worker.dial() as channel:
        path, parse = "/waypost.v1.EmbedService/Embed", embed_pb2.EmbedResponse.FromString
        error = channel.unary_unary(path, None, parse).future(request.SerializeToString(), timeout=5.0).exception()
    return error is not None and error.code() is Code.UNAVAILABLE


def test_a_drain_does_not_wait_for_ever(worker: Node, session: Session) -> None:
    """What has not ended in time is cut off, and the answer says that not all ended well."""
    held = occupied(worker, session)
    opener = threading.Timer(0.5, session.gate.set)
    opener.start()
    drained = worker.drain(0.1)
    assert failure(held).code is Code.UNAVAILABLE
    assert not drained.result()
    opener.join()


def test_a_drain_of_an_idle_worker_ends_at_once(worker: Node) -> None:
    """A second one has nothing to do; the socket file is gone."""
    assert worker.drain(20.0).result(timeout=5.0)
    assert worker.drain(20.0).result(timeout=5.0)
    assert not Path(worker.address.removeprefix("unix:")).exists()
