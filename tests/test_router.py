"""The router as its clients meet it, before real workers and before fakes that fail on purpose."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_reflection.v1alpha import reflection_pb2

from tests.fake_mesh import failing
from tests.plane import (
    LIMITS,
    PATIENCE_S,
    Failure,
    Node,
    Plane,
    Session,
    becomes,
    classify,
    embed,
    eventually,
    failure,
    hashed,
    hints,
    rerank,
    states,
    vectors,
)
from waypost.v1 import common_pb2, embed_pb2, generate_pb2, generate_pb2_grpc, mesh_pb2, retrieve_pb2

Code = grpc.StatusCode
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
NO_RETRIES = {"max_attempts": 1, "budget_ratio": 0.0, "min_tokens": 0.0}


def by(reply: Any) -> str:
    """The instance that answered."""
    return reply.served.instance


def trailers(call: Any) -> dict[str, str]:
    """What the router says of the instance that answered."""
    told = ("waypost-instance", "waypost-reason", "waypost-attempts")
    return {key: value for key, value in call.trailing_metadata() if key in told}


def answering(name: str) -> Callable[..., embed_pb2.EmbedResponse]:
    """The Embed of a fake that works."""
    return lambda request, context: embed_pb2.EmbedResponse(served=common_pb2.ServedBy(model="m", instance=name))


# Choosing the model


def test_a_named_model_is_asked_where_it_runs(plane: Plane) -> None:
    """Two workers, two models; the answer says who gave it and why, the trailers too."""
    router = plane.router(
        plane.worker(plane.hash_model("one"), name="a"), plane.worker(plane.hash_model("two"), name="b")
    )
    call = router.start(embed("text", model="two"))
    served = call.result().served
    assert (served.model, served.version, served.instance) == ("two", "1", "b")
    assert trailers(call) == {"waypost-instance": "b", "waypost-reason": "named/only", "waypost-attempts": "1"}


def test_required_tags_choose_the_model(plane: Plane) -> None:
    """Also against the better quality of another; all of them must be carried."""
    router = plane.router(
        plane.worker(plane.hash_model("plain", quality=0.9), name="a"),
        plane.worker(plane.hash_model("legal", tags=["legal", "fast"]), name="b"),
    )
    assert router.call(embed("text")).served.model == "plain"
    assert router.call(embed("text", route=hints(required_tags=["fast", "legal"]))).served.model == "legal"
    none = router.failure(embed("text", route=hints(required_tags=["fast", "slow"])))
    assert (none.code, none.reason) == (Code.FAILED_PRECONDITION, "NOT_CAPABLE")


@pytest.mark.parametrize(
    ("wish", "model"),
    [
        ({}, "good"),
        ({"optional_tags": ["medical"]}, "tagged"),
        ({"tier": common_pb2.TIER_CREATIVE}, "creative"),
        ({"max_cost_usd": 1e-9}, "cheap"),
    ],
    ids=["quality", "optional tags", "tier", "cost"],
)
def test_wishes_choose_among_the_models_that_can(plane: Plane, wish: dict[str, Any], model: str) -> None:
    """Without any, the best quality."""
    dear = {"cost_per_1k_tokens_usd": 1.0}
    models = (
        plane.hash_model("good", quality=0.9, **dear),
        plane.hash_model("tagged", tags=["medical"], **dear),
        plane.hash_model("creative", tier="creative", **dear),
        plane.hash_model("cheap"),
    )
    router = plane.router(plane.worker(*models))
    assert router.call(embed("text", route=hints(**wish))).served.model == model


def test_the_head_of_a_request_chooses_the_model(plane: Plane) -> None:
    """A caller who names a label set need not know which model has it."""
    router = plane.router(
        plane.worker(plane.hash_model("one", heads=[plane.head("mood")]), name="a"),
        plane.worker(plane.hash_model("two", heads=[plane.head("intent")]), name="b"),
    )
    assert router.call(classify("text", head="mood")).served.model == "one"
    assert router.call(classify("text", head="intent")).served.model == "two"


def test_an_unknown_model_is_not_found(plane: Plane) -> None:
    """Those there are, are named."""
    router = plane.router(plane.worker(plane.hash_model("one")))
    unknown = router.failure(embed("text", model="two"))
    assert (unknown.code, unknown.reason, unknown.metadata) == (Code.NOT_FOUND, "MODEL_NOT_FOUND", {"model": "two"})
    assert "one" in unknown.message


def test_a_router_without_workers_says_when_to_come_back(plane: Plane) -> None:
    """They may still be starting."""
    none = plane.router().failure(embed("text"))
    assert (none.code, none.reason) == (Code.UNAVAILABLE, "NO_INSTANCE")
    assert none.retry_after_s and none.retry_after_s > 0


def test_what_no_model_does_is_said(plane: Plane) -> None:
    """In words, with the task's name."""
    router = plane.router(plane.worker(plane.hash_model()))
    refused = router.failure(retrieve_pb2.QueryDocumentsRequest(namespace="n"))
    assert (refused.code, refused.reason) == (Code.FAILED_PRECONDITION, "NOT_CAPABLE")
    assert "no model here does TASK_RETRIEVE" in refused.message


def test_a_stream_that_no_worker_here_can_give_is_refused(plane: Plane) -> None:
    """Generation token by token, where no model writes."""
    router = plane.router(plane.worker(plane.hash_model()))
    with pytest.raises(grpc.RpcError) as refused:
        next(generate_pb2_grpc.GenerateServiceStub(router.channel).GenerateStream(generate_pb2.GenerateStreamRequest()))
    assert Failure.of(refused.value).reason == "NOT_CAPABLE"


# Choosing the instance


def test_calls_in_flight_spread_evenly_over_equal_instances(plane: Plane) -> None:
    """Each call is counted at the moment it is sent, so a burst does not fall on one."""
    sessions = {name: Session() for name in ("a", "b", "c")}
    router = plane.router(*(plane.worker(plane.model(session), name=name) for name, session in sessions.items()))
    for session in sessions.values():
        session.gate.clear()
    calls = [router.start(embed(f"text {index}")) for index in range(12)]
    eventually(lambda: [router.instance(name)["in_flight"] for name in sessions] == [4, 4, 4])
    for session in sessions.values():
        session.gate.set()
    assert Counter(by(call.result()) for call in calls) == {"a": 4, "b": 4, "c": 4}
    eventually(lambda: [router.instance(name)["in_flight"] for name in sessions] == [0, 0, 0])


@pytest.mark.parametrize("policy", ["expected_completion", "power_of_two", "score", "round_robin"])
def test_every_policy_uses_every_instance(plane: Plane, policy: str) -> None:
    """Held calls make the difference; those of `round_robin` go round."""
    sessions = {name: Session() for name in ("a", "b")}
    workers = [plane.worker(plane.model(session), name=name) for name, session in sessions.items()]
    router = plane.router(*workers, policy=policy)
    for session in sessions.values():
        session.gate.clear()
    calls = [router.start(embed(f"text {index}")) for index in range(10)]
    assert all(session.next() for session in sessions.values())
    for session in sessions.values():
        session.gate.set()
    assert len([call.result() for call in calls]) == 10


def test_a_session_stays_with_its_instance(plane: Plane) -> None:
    """And moves only when the instance goes."""
    workers = {name: plane.worker(plane.hash_model(), name=name) for name in ("a", "b", "c")}
    router = plane.router(*workers.values())
    sessions = [f"session {index}" for index in range(20)]

    def homes() -> dict[str, str]:
        return {session: by(router.call(embed("text", route=hints(session=session)))) for session in sessions}

    before = homes()
    assert before == homes()
    assert set(before.values()) == {"a", "b", "c"}
    router.core.set_instances([workers["a"].address, workers["b"].address])
    after = homes()
    assert all(after[session] == home for session, home in before.items() if home != "c")


def test_instances_are_added_and_removed_while_it_runs(plane: Plane) -> None:
    """A removed one finishes what it has; an address that cannot be is refused and changes nothing."""
    session = Session()
    old = plane.worker(plane.model(session), name="old")
    new = plane.worker(plane.model(Session()), name="new")
    router = plane.router(old)
    session.gate.clear()
    held = router.start(embed("held"))
    session.next()
    router.core.set_instances([old.address, new.address])
    becomes(router, "ready", "ready")
    router.core.set_instances([new.address])
    assert {by(router.call(embed("text"))) for _ in range(5)} == {"new"}
    session.gate.set()
    assert by(held.result()) == "old"
    with pytest.raises(ValueError, match="nowhere"):
        router.core.set_instances(["nowhere"])
    assert [each["instance"] for each in router.status()["instances"]] == ["new"]


# Failures


CRASHES = """
import json, sys, threading
from waypost import _core
def run(ids, mask, types):
    print("begun", flush=True)
    threading.Event().wait()
worker = _core.Worker(sys.argv[1], {"m": [run]})
print(worker.start(), flush=True)
threading.Event().wait()
"""


@pytest.fixture
def victim(plane: Plane) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts a worker in a process of its own, at one address, which never answers."""
    started: list[subprocess.Popen[str]] = []
    model = plane.model().core()
    settings = {"instance": "victim", "listen": f"unix:{plane.folder}/v.sock", "version": "0.1.0"}
    config = json.dumps(settings | {"limits": LIMITS, "models": [model]})

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen((sys.executable, "-P", "-c", CRASHES, config), stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout and process.stdout.readline() == f"unix:{plane.folder}/v.sock\n"
        return process

    yield start
    for process in started:
        with process:
            process.kill()


def begun(process: subprocess.Popen[str]) -> None:
    """Returns once a text runs there."""
    assert process.stdout and process.stdout.readline() == "begun\n"


def test_a_call_at_a_killed_worker_is_answered_by_another(plane: Plane, victim: Callable[..., Any]) -> None:
    """The client sees an answer, and in the trailers that it took two attempts."""
    process = victim()
    worker = plane.worker(plane.model(Session()))
    router = plane.router()
    router.core.set_instances([f"unix:{plane.folder}/v.sock"])
    becomes(router, "ready")
    call = router.start(embed("text"))
    begun(process)
    router.core.set_instances([f"unix:{plane.folder}/v.sock", worker.address])
    becomes(router, "ready", "ready")
    process.kill()
    assert np.array_equal(vectors(call.result()), hashed("text"))
    assert trailers(call) == {"waypost-instance": "w", "waypost-reason": "best_fit/retry", "waypost-attempts": "2"}
    becomes(router, "down", "ready")


def test_the_only_worker_killed_is_unavailable_until_it_is_back(plane: Plane, victim: Callable[..., Any]) -> None:
    """The call inside and those after it are told when to come back; a new worker there is found by itself."""
    process = victim()
    router = plane.router()
    router.core.set_instances([f"unix:{plane.folder}/v.sock"])
    becomes(router, "ready")
    call = router.start(embed("text"))
    begun(process)
    process.kill()
    lost = failure(call)
    assert (lost.code, lost.reason) == (Code.UNAVAILABLE, "INSTANCE_LOST")
    assert lost.metadata == {"instance": "victim"}
    becomes(router, "down")
    none = router.failure(embed("text"))
    assert (none.code, none.reason, none.metadata) == (Code.UNAVAILABLE, "NO_INSTANCE", {"model": "m"})
    assert all(each.retry_after_s and each.retry_after_s > 0 for each in (lost, none))
    process = victim()
    becomes(router, "ready")
    call = router.start(embed("text"))
    begun(process)
    call.cancel()


def test_what_one_instance_refuses_is_tried_on_another(plane: Plane) -> None:
    """UNAVAILABLE of a call without side effects."""
    bad = plane.fake("bad", failing(Code.UNAVAILABLE, "not now"))
    router = plane.router(bad, plane.fake("good", answering("good")), policy="round_robin")
    calls = [router.start(embed("text", model="m")) for _ in range(4)]
    assert {by(call.result()) for call in calls} == {"good"}
    assert {trailers(call)["waypost-attempts"] for call in calls} == {"1", "2"}


def test_what_would_end_the_same_is_not_tried_again(plane: Plane) -> None:
    """The caller's own mistakes, and what may have been begun: passed on with the worker's details."""
    info = ErrorInfo(reason="ERROR_REASON_MODEL_FAILED", domain="waypost", metadata={"model": "m"})
    workers = [plane.fake(name, failing(Code.INTERNAL, "it broke", info)) for name in ("a", "b")]
    failed = plane.router(*workers).failure(embed("text"))
    assert (failed.code, failed.message, failed.reason) == (Code.INTERNAL, "it broke", "MODEL_FAILED")
    assert sum(embeds(worker) for worker in workers) == 1


def embeds(fake: Any) -> int:
    """Embed calls a fake has had."""
    return sum(isinstance(request, embed_pb2.EmbedRequest) for request in fake.requests)


def test_the_retry_budget_is_one_for_all_instances(plane: Plane) -> None:
    """Three retries in reserve and none earned: ten calls make thirteen attempts, whoever gets them."""
    workers = [plane.fake(name, failing(Code.UNAVAILABLE, "not now")) for name in ("a", "b", "c")]
    retry = {"max_attempts": 3, "budget_ratio": 0.0, "min_tokens": 3.0}
    router = plane.router(*workers, retry=retry, breaker={"failures": 1000, "open_s": 1.0})
    failures = [router.failure(embed("text")) for _ in range(10)]
    assert {each.code for each in failures} == {Code.UNAVAILABLE}
    assert sum(embeds(worker) for worker in workers) == 13
    assert router.status()["retry_budget"] == 0


def test_an_instance_that_keeps_failing_is_left_alone(plane: Plane) -> None:
    """After as many failures in a row as the breaker takes, all calls go to the other."""
    bad, good = plane.fake("bad", failing(Code.INTERNAL, "it broke")), plane.fake("good", answering("good"))
    breaker = {"failures": 2, "open_s": 600.0}
    router = plane.router(bad, good, policy="round_robin", retry=NO_RETRIES, breaker=breaker)
    codes = Counter(router.start(embed("text")).code() for _ in range(20))
    assert codes == {Code.INTERNAL: 2, Code.OK: 18}
    assert states(router) == ["ejected", "ready"]
    assert (router.instance("bad")["requests"], router.instance("bad")["failures"]) == (2, 2)


def test_an_instance_that_recovers_is_used_again(plane: Plane) -> None:
    """One call after the breaker's pause tries it; its success closes the breaker."""
    bad, good = plane.fake("bad", failing(Code.INTERNAL, "it broke")), plane.fake("good", answering("good"))
    breaker = {"failures": 2, "open_s": 0.1}
    router = plane.router(bad, good, policy="round_robin", retry=NO_RETRIES, breaker=breaker)
    eventually(lambda: router.start(embed("text")).code() and router.instance("bad")["failures"] >= 2)
    bad.answers["Embed"] = answering("bad")
    eventually(lambda: by(router.call(embed("text"))) == "bad")
    assert states(router) == ["ready", "ready"]
    assert {by(router.call(embed("text"))) for _ in range(4)} == {"bad", "good"}


def test_the_last_instance_is_used_whatever_its_record(plane: Plane) -> None:
    """When all are ill, a call to an ill one is better than none."""
    bad = plane.fake("bad", failing(Code.INTERNAL, "it broke"))
    router = plane.router(bad, breaker={"failures": 1, "open_s": 600.0})
    assert {router.failure(embed("text")).code for _ in range(4)} == {Code.INTERNAL}


def test_an_instance_that_says_when_is_asked_again_then(plane: Plane) -> None:
    """`grpc-retry-pushback-ms`, where there is no other."""
    answers = iter([pushing_back("1"), answering("w")])
    fake = plane.fake("w", lambda request, context: next(answers)(request, context))
    call = plane.router(fake).start(embed("text"))
    assert by(call.result()) == "w"
    assert trailers(call)["waypost-attempts"] == "2"


def pushing_back(milliseconds: str) -> Callable[..., None]:
    """Fails and says when to come back."""

    def answer(request: object, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata((("grpc-retry-pushback-ms", milliseconds),))
        context.abort(Code.UNAVAILABLE, "not now")

    return answer


def test_an_instance_that_is_too_slow_is_left_out_for_a_while(plane: Plane) -> None:
    """By its p95; afterwards what it was before does not count."""

    def slowly(request: object, context: grpc.ServicerContext) -> embed_pb2.EmbedResponse:
        threading.Event().wait(0.3)
        return answering("slow")(request, context)

    slow = plane.fake("slow", slowly)
    outlier = {"p95_limit_s": 0.25, "exclude_s": 1.0}
    router = plane.router(slow, plane.fake("quick", answering("quick")), policy="round_robin", outlier=outlier)
    eventually(lambda: by(router.call(embed("text"))) == "slow")
    assert states(router) == ["ejected", "ready"]
    assert {by(router.call(embed("text"))) for _ in range(4)} == {"quick"}
    slow.answers["Embed"] = answering("slow")
    eventually(lambda: by(router.call(embed("text"))) == "slow")
    assert states(router) == ["ready", "ready"]


def test_health_that_flips_leaves_the_calls_in_flight_counted(plane: Plane) -> None:
    """A check of health is no end of a call."""
    gate = threading.Event()
    fake = plane.fake("w", lambda request, context: gate.wait(PATIENCE_S) and answering("w")(request, context))
    router = plane.router(fake)
    held = router.start(embed("text"))
    eventually(lambda: router.instance("w")["in_flight"] == 1)
    for status, state in ((NOT_SERVING, "draining"), (SERVING, "ready")):
        fake.health.set("", status)
        becomes(router, state)
        assert router.instance("w")["in_flight"] == 1
    gate.set()
    assert by(held.result()) == "w"
    eventually(lambda: router.instance("w")["in_flight"] == 0)


def test_a_stream_that_has_begun_is_not_tried_again(plane: Plane) -> None:
    """The client has seen an answer; the error that follows it passes."""

    def begins_and_fails(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        yield embed_pb2.EmbedStreamResponse(response=embed_pb2.EmbedResponse(dimensions=1))
        context.abort(Code.UNAVAILABLE, "no more")

    workers = [plane.fake(name, answering(name)) for name in ("a", "b")]
    for worker in workers:
        worker.answers["EmbedStream"] = begins_and_fails
    router = plane.router(*workers)
    replies = router.stream(iter([embed("text")]))
    assert next(replies).response.dimensions == 1
    with pytest.raises(grpc.RpcError) as ended:
        next(replies)
    assert (ended.value.code(), ended.value.details()) == (Code.UNAVAILABLE, "no more")
    assert sorted(each["requests"] for each in router.status()["instances"]) == [0, 1]


def test_a_full_worker_is_passed_over(plane: Plane) -> None:
    """QUEUE_FULL of one is tried on the other; of both it reaches the caller, with its pause."""
    info = ErrorInfo(reason="ERROR_REASON_QUEUE_FULL", domain="waypost", metadata={"limit": "1"})
    full = failing(Code.RESOURCE_EXHAUSTED, "full", info, RetryInfo(retry_delay=Duration(seconds=1)))
    one, other = plane.fake("one", full), plane.fake("other", answering("other"))
    router = plane.router(one, other, policy="round_robin")
    assert {by(router.call(embed("text"))) for _ in range(4)} == {"other"}
    other.answers["Embed"] = full
    refused = router.failure(embed("text"))
    assert (refused.code, refused.reason, refused.retry_after_s) == (Code.RESOURCE_EXHAUSTED, "QUEUE_FULL", 1.0)
    assert (router.instance("one")["failures"], states(router)) == (0, ["ready", "ready"])


# Deadlines, cancelled calls, streams


def test_the_deadline_of_a_client_bounds_its_call(plane: Plane) -> None:
    """The worker is told how much of it is left, and stops too."""
    session = Session()
    worker = plane.worker(plane.model(session))
    router = plane.router(worker)
    session.gate.clear()
    call = router.start(embed("text"), timeout=0.2)
    session.next()
    assert call.exception().code() is Code.DEADLINE_EXCEEDED
    session.gate.set()
    eventually(lambda: worker.waiting() == router.waiting() == 0)


def test_a_call_without_a_deadline_gets_the_router_s(plane: Plane) -> None:
    """And is told where its time ran out."""
    session = Session()
    router = plane.router(plane.worker(plane.model(session)), default_timeout_s=0.1)
    session.gate.clear()
    late = router.failure(embed("text"), timeout=None)
    assert (late.code, late.reason) == (Code.DEADLINE_EXCEEDED, "DEADLINE")
    assert late.metadata["stage"] in ("instance", "inference"), "the worker has the same deadline and may be quicker"


@pytest.mark.parametrize("leave", ["cancel", "timeout", "close"])
def test_the_counters_are_at_zero_after_calls_that_ended_early(plane: Plane, leave: str) -> None:
    """In router and worker; and the worker is not blamed."""
    session = Session()
    worker = plane.worker(plane.model(session))
    router = plane.router(worker)
    session.gate.clear()
    channel = router.dial()
    send = channel.unary_unary("/waypost.v1.EmbedService/Embed")
    timeout = 0.2 if leave == "timeout" else None
    calls = [send.future(embed(f"text {index}").SerializeToString(), timeout=timeout) for index in range(5)]
    eventually(lambda: router.instance("w")["in_flight"] == 5 or calls[0].done())
    for call in calls:
        {"cancel": call.cancel, "timeout": call.exception, "close": channel.close}[leave]()
    eventually(lambda: (router.status()["in_flight"], router.instance("w")["in_flight"]) == (0, 0))
    assert router.instance("w")["failures"] == 0
    session.gate.set()
    eventually(lambda: worker.waiting() == 0)
    channel.close()


def test_a_stream_passes_in_order(plane: Plane) -> None:
    """Answers come while the client still sends."""
    router = plane.router(plane.worker(plane.model(Session())))
    texts = ["one", "two", "three"]
    sent = []

    def requests() -> Iterator[embed_pb2.EmbedRequest]:
        for text in texts:
            sent.append(text)
            yield embed(text)

    rows = [vectors(reply.response)[0] for reply in router.stream(requests())]
    assert np.array_equal(rows, hashed(*texts))


@pytest.mark.parametrize("end", ["cancel", "deadline"])
def test_the_counters_are_at_zero_after_a_stream_that_was_given_up(plane: Plane, end: str) -> None:
    """In the middle, with an answer already here and one held."""
    session, first_answered = Session(), threading.Event()
    worker = plane.worker(plane.model(session))
    router = plane.router(worker)

    def requests() -> Iterator[embed_pb2.EmbedRequest]:
        yield embed("one")
        first_answered.wait(PATIENCE_S)
        yield embed("two")

    replies = router.stream(requests(), timeout=0.5 if end == "deadline" else None)
    next(replies)
    session.gate.clear()
    first_answered.set()
    assert [session.next(), session.next()] == ["one", "two"]
    if end == "cancel":
        replies.cancel()
    assert replies.code() is (Code.CANCELLED if end == "cancel" else Code.DEADLINE_EXCEEDED)
    session.gate.set()
    eventually(lambda: (router.status()["in_flight"], router.instance("w")["in_flight"]) == (0, 0))
    eventually(lambda: worker.waiting() == 0)


def test_a_response_over_four_megabytes_passes(plane: Plane) -> None:
    """gRPC's own default limit is not ours."""
    router = plane.router(plane.worker(plane.hash_model()))
    reply = router.call(embed(*(f"text {index}" for index in range(20)), dimensions=65_536))
    assert len(reply.vectors) == 20 * 65_536 * 4 > 4 << 20


def test_beyond_the_calls_it_takes_the_next_is_refused_at_once(plane: Plane) -> None:
    """QUEUE_FULL with the limit and a pause; nothing has waited."""
    session = Session()
    router = plane.router(plane.worker(plane.model(session)), limits={"max_in_flight": 2})
    session.gate.clear()
    held = [router.start(embed("text")), router.start(embed("text"))]
    eventually(lambda: router.waiting() == 2)
    full = router.failure(embed("text"))
    assert (full.code, full.reason, full.metadata) == (Code.RESOURCE_EXHAUSTED, "QUEUE_FULL", {"limit": "2"})
    assert full.retry_after_s
    session.gate.set()
    assert [by(call.result()) for call in held] == ["w", "w"]
    assert router.call(embed("text"))


# What it says of itself and the mesh


def test_health_follows_the_workers(plane: Plane) -> None:
    """One name for the whole, each service and each model; Watch hears a model come and go."""
    router = plane.router()
    whole, model = router.watch(), router.watch("models/m")
    assert (next(whole), next(model)) == ("NOT_SERVING", "SERVICE_UNKNOWN")
    worker = plane.worker(plane.model(Session()))
    router.core.set_instances([worker.address])
    assert next(whole) == "SERVING"
    assert until(model, "SERVING")
    assert (router.health("waypost.v1.EmbedService"), router.health("waypost.v1.RerankService")) == ("SERVING",) * 2
    assert router.health("waypost.v1.ClassifyService") == "NOT_SERVING"
    assert router.health("waypost.v1.MeshService") == "SERVING"
    assert worker.drain(1.0).result()
    assert next(whole) == "NOT_SERVING"
    assert until(model, "NOT_SERVING")
    router.core.set_instances([])
    assert until(model, "SERVICE_UNKNOWN")


def until(watched: Iterator[str], state: str) -> bool:
    """Whether a watch comes to this state."""
    return any(each == state for each in watched)


def test_health_of_an_unknown_name_is_not_found(plane: Plane) -> None:
    """By Check; health does not ignore the service's name."""
    router = plane.router(plane.worker(plane.hash_model()))
    for name in ("models/other", "waypost.v1.NoService"):
        with pytest.raises(grpc.RpcError) as unknown:
            router.health(name)
        assert unknown.value.code() is Code.NOT_FOUND


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_lists_every_service(plane: Plane, version: str) -> None:
    """And describes them, so that tools need no protos; the two versions differ in nothing but the name."""
    router = plane.router()

    def ask(**question: str) -> Any:
        request = reflection_pb2.ServerReflectionRequest(**question).SerializeToString()
        call = router.channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")
        (answer,) = call(iter([request]), timeout=10.0)
        return reflection_pb2.ServerReflectionResponse.FromString(answer)

    listed = {service.name for service in ask(list_services="").list_services_response.service}
    own = {f"waypost.v1.{name}Service" for name in ("Embed", "Classify", "Rerank", "Generate", "Retrieve", "Mesh")}
    assert own | {"grpc.health.v1.Health"} <= listed
    for service in own:
        assert ask(file_containing_symbol=service).file_descriptor_response.file_descriptor_proto


def test_the_mesh_lists_models_and_instances(plane: Plane) -> None:
    """A model on two workers once, with the tags of both."""
    workers = (
        plane.worker(plane.hash_model(tags=["one"]), name="a"),
        plane.worker(plane.hash_model(tags=["two"]), name="b"),
    )
    router = plane.router(*workers)
    (model,) = router.call(mesh_pb2.ListModelsRequest()).models
    assert (model.name, sorted(model.tags)) == ("hash", ["one", "two"])
    found = [
        (each.instance, each.address, each.state) for each in router.call(mesh_pb2.ListInstancesRequest()).instances
    ]
    assert found == [(worker.name, worker.address, mesh_pb2.INSTANCE_STATE_READY) for worker in workers]


# Decision events


def events(router: Node, count: int) -> list[dict[str, Any]]:
    """The next events."""
    found: list[dict[str, Any]] = []
    eventually(lambda: len(found.__iadd__(map(json.loads, router.core.next_events(count, 1.0)))) >= count)
    return found


def test_an_event_tells_who_was_considered_why_and_how_it_came_out(plane: Plane) -> None:
    """With the caller's request id."""
    router = plane.router(*(plane.worker(plane.hash_model(), name=name) for name in ("a", "b")))
    chosen = by(router.start(embed("text"), metadata=(("x-request-id", "r-1"),)).result())
    (event,) = events(router, 1)
    assert (event["event"], event["request_id"], event["code"]) == ("decision", "r-1", "OK")
    assert (event["method"], event["model"], event["model_reason"]) == (
        "/waypost.v1.EmbedService/Embed",
        "hash",
        "best_fit",
    )
    assert (event["policy"], event["reason"]) == ("expected_completion", "expected_completion")
    assert (event["chosen"], [tried["instance"] for tried in event["attempts"]]) == (chosen, [chosen])
    assert {candidate["instance"] for candidate in event["candidates"]} == {"a", "b"}
    for candidate in event["candidates"]:
        assert set(candidate["terms"]) == {"latency", "queue", "fit", "health", "feedback"}
        assert candidate["score"] == pytest.approx(sum(candidate["terms"].values()))
    assert event["latency_ms"] > 0 and event["request_bytes"] > 0


def test_refused_retried_and_abandoned_calls_have_their_events_too(plane: Plane) -> None:
    """One each, in the order of their ends."""
    session = Session()
    router = plane.router(plane.worker(plane.model(session)), plane.fake("bad", failing(Code.UNAVAILABLE, "no"), "x"))
    router.failure(embed("text", model="other"))
    router.failure(embed("text", model="x"))
    session.gate.clear()
    gone = router.start(embed("text", model="m"))
    session.next()
    gone.cancel()
    unknown, tried, left = events(router, 3)
    assert (unknown["code"], unknown["chosen"], unknown["attempts"]) == ("NOT_FOUND", None, [])
    assert "other" in unknown["error"]
    assert (tried["code"], [each["code"] for each in tried["attempts"]]) == ("UNAVAILABLE", ["UNAVAILABLE"] * 2)
    assert (left["code"], left["chosen"]) == ("CANCELLED", "w")


def test_events_nobody_takes_are_counted_and_hold_up_nothing(plane: Plane) -> None:
    """The ring keeps the oldest."""
    router = plane.router(plane.worker(plane.hash_model()), limits={"event_ring": 2})
    for index in range(5):
        router.start(embed("text"), metadata=(("x-request-id", str(index)),)).result()
    eventually(lambda: router.core.dropped_events() == 3)
    assert [event["request_id"] for event in events(router, 2)] == ["0", "1"]
    assert router.status()["dropped_events"] == 3
    assert router.core.next_events(10, 0.0) == []


# The end


def test_a_router_that_drains_lets_its_calls_end(plane: Plane) -> None:
    """Health flips first; the held call is answered; nobody new comes in."""
    session = Session()
    router = plane.router(plane.worker(plane.model(session)))
    watched = router.watch()
    assert next(watched) == "SERVING"
    session.gate.clear()
    held = router.start(embed("text"))
    session.next()
    drained = router.drain(2.0)
    assert next(watched) == "NOT_SERVING"
    assert list(watched) == []
    session.gate.set()
    assert by(held.result()) == "w"
    assert drained.result()
    with router.dial() as channel:
        call = channel.unary_unary("/waypost.v1.EmbedService/Embed").future(b"", timeout=5.0)
        assert call.exception().code() is Code.UNAVAILABLE


def test_a_worker_that_drains_costs_no_call(plane: Plane) -> None:
    """The router hears of it and sends what comes to the other, while the held call ends where it is."""
    session = Session()
    leaving = plane.worker(plane.model(session), name="leaving")
    router = plane.router(leaving)
    session.gate.clear()
    held = router.start(embed("held"))
    session.next()
    staying = plane.worker(plane.model(Session()), name="staying")
    router.core.set_instances([leaving.address, staying.address])
    becomes(router, "ready", "ready")
    drained = leaving.drain(10.0)
    becomes(router, "draining", "ready")
    assert {by(router.call(embed(f"text {index}"))) for index in range(10)} == {"staying"}
    session.gate.set()
    assert by(held.result()) == "leaving"
    assert drained.result()


def test_a_reranking_through_the_router_is_the_worker_s(plane: Plane) -> None:
    """The bytes pass as they are."""
    worker = plane.worker(plane.model(Session()))
    router = plane.router(worker)
    request = rerank("red car", "a blue boat", "the red car", "one green tree")
    assert router.call(request).ranking == worker.call(request).ranking
