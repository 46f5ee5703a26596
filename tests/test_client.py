"""The client against a server of the same contract: what is sent, what comes back, what is raised."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_health.v1 import health_pb2

import waypost
from tests.clients import Blocking
from tests.plane import Plane
from waypost import _calls, errors
from waypost.control import Rollout
from waypost.v1 import classify_pb2, common_pb2, embed_pb2, mesh_pb2, rerank_pb2

SERVED = common_pb2.ServedBy(model="minilm", version="1", instance="local-0")
TIMINGS = common_pb2.Timings(queue=Duration(nanos=1_000_000), total=Duration(seconds=1, nanos=500_000_000))


def embedded(request: embed_pb2.EmbedRequest, context: object = None) -> embed_pb2.EmbedResponse:
    rows = np.arange(3 * len(request.texts), dtype="<f4")
    usage = [common_pb2.TextUsage(tokens=len(text)) for text in request.texts]
    return embed_pb2.EmbedResponse(served=SERVED, timings=TIMINGS, dimensions=3, vectors=rows.tobytes(), usage=usage)


def test_embed_returns_one_float32_row_per_text_without_copying(mesh: Any, client: Any) -> None:
    """Vectors are a view of the reply's bytes; served, timings and usage come with them."""
    mesh.answers["Embed"] = embedded
    result = client.embed(["ab", "c"])
    assert result.vectors.dtype == np.float32
    assert result.vectors.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert isinstance(result.vectors.base.base, bytes)
    assert (result.served.model, result.served.instance) == ("minilm", "local-0")
    assert result.timings.queue == pytest.approx(0.001)
    assert result.timings.total == 1.5
    assert [each.tokens for each in result.usage] == [2, 1]


def test_options_reach_the_request(mesh: Any, client: Any) -> None:
    """Every keyword has its field in the contract."""
    mesh.answers["Embed"] = embedded
    client.embed(
        ["a"],
        model="hash",
        truncate=True,
        dimensions=64,
        tags=["embed"],
        prefer_tags=["fast"],
        tier="premium",
        session="s",
        max_cost_usd=0.5,
        priority="high",
        tenant="shop",
        no_cache=True,
        no_store=True,
    )
    (sent,) = mesh.requests
    assert sent == embed_pb2.EmbedRequest(
        model="hash",
        texts=["a"],
        dimensions=64,
        truncation=common_pb2.TRUNCATION_END,
        route=common_pb2.RouteHints(
            required_tags=["embed"],
            optional_tags=["fast"],
            tier=common_pb2.TIER_PREMIUM,
            session="s",
            max_cost_usd=0.5,
            priority=common_pb2.PRIORITY_HIGH,
            tenant="shop",
            no_cache=True,
            no_store=True,
        ),
    )


def test_classify_offers_the_best_label(mesh: Any, client: Any) -> None:
    """`labels` is best first, `label` and `score` are its head, also when nothing passed the threshold."""
    scored = classify_pb2.Classification(
        labels=[classify_pb2.LabelScore(label="joy", score=0.75), classify_pb2.LabelScore(label="rage", score=0.25)]
    )
    nothing = classify_pb2.Classification(out_of_scope=True, energy=-1.5)
    mesh.answers["Classify"] = lambda request, context: classify_pb2.ClassifyResponse(
        head="mood", results=[scored, nothing]
    )
    result = client.classify(["a", "b"], head="mood", top_k=2, threshold=0.5)
    assert result.labels == ("joy", "")
    assert result.results[0].score == 0.75
    assert result.results[0].labels[1].label == "rage"
    assert result.results[1].out_of_scope and result.results[1].energy == -1.5
    assert (mesh.requests[0].head, mesh.requests[0].top_k, mesh.requests[0].threshold) == ("mood", 2, 0.5)


def test_rerank_gives_back_the_documents(mesh: Any, client: Any) -> None:
    """Each ranked entry has the place, the score and the document itself."""
    mesh.answers["Rerank"] = lambda request, context: rerank_pb2.RerankResponse(
        method="cosine+bm25", ranking=[rerank_pb2.RankedDocument(index=1, score=2.0)]
    )
    result = client.rerank("q", ["x", "y"], top_k=1)
    assert result.method == "cosine+bm25"
    assert (result.ranking[0].index, result.ranking[0].score, result.ranking[0].document) == (1, 2.0, "y")


def test_count_tokens(mesh: Any, client: Any) -> None:
    """One count per text."""
    mesh.answers["CountTokens"] = lambda request, context: embed_pb2.CountTokensResponse(tokens=[4, 2])
    assert client.count_tokens(["a b", ""]).tokens == (4, 2)


def test_embed_stream_answers_in_order(mesh: Any, client: Any) -> None:
    """One result per batch."""
    mesh.answers["EmbedStream"] = lambda requests, context: (
        embed_pb2.EmbedStreamResponse(response=embedded(each.request)) for each in requests
    )
    results = list(client.embed_stream([["a"], ["b", "c"]], model="minilm"))
    assert [len(result.vectors) for result in results] == [1, 2]


def test_a_bad_batch_ends_the_stream_with_its_own_error(mesh: Any, client: Any) -> None:
    """The batches before it are answered, and the error is that of a unary call."""
    mesh.answers["EmbedStream"] = lambda requests, context: (
        embed_pb2.EmbedStreamResponse(response=embedded(each.request)) for each in requests
    )
    seen = []
    with pytest.raises(errors.InvalidRequest, match=r"texts is one str"):
        seen.extend(client.embed_stream([["a"], "b"]))
    assert mesh.requests


def test_models_and_instances_read_as_plain_words(mesh: Any, client: Any) -> None:
    """Enum values are the lower-case words of the contract; one this client does not know is its number."""
    model = mesh_pb2.ModelInfo(
        name="minilm",
        tasks=[mesh_pb2.TASK_EMBED],
        tier=common_pb2.TIER_SIMPLE,
        adapters=["formal"],
        cost_per_1k_output_tokens_usd=0.25,
    )
    instance = mesh_pb2.InstanceStatus(
        instance="local-0", state=mesh_pb2.INSTANCE_STATE_READY, latency_p95=Duration(nanos=5_000_000)
    )
    unknown = mesh_pb2.InstanceStatus(state=99)  # type: ignore[arg-type]
    mesh.answers["ListModels"] = lambda request, context: mesh_pb2.ListModelsResponse(models=[model])
    mesh.answers["ListInstances"] = lambda request, context: mesh_pb2.ListInstancesResponse(
        instances=[instance, unknown]
    )
    (found,) = client.models()
    assert (found.name, found.tasks, found.tier) == ("minilm", ("embed",), "simple")
    assert (found.adapters, found.cost_per_1k_output_tokens_usd) == (("formal",), 0.25)
    ready, newer = client.instances()
    assert (ready.state, ready.latency_p95) == ("ready", pytest.approx(0.005))
    assert newer.state == "99"


def test_a_worker_describes_itself(mesh: Any, client: Any) -> None:
    """Its models, and how much waits in it."""
    mesh.answers["DescribeInstance"] = lambda request, context: mesh_pb2.DescribeInstanceResponse(
        instance="writer-0", models=[mesh_pb2.ModelInfo(name="smollm2")], queue_depth=3, queue_limit=72
    )
    found = client.instance()
    assert (found.instance, found.queue_depth, found.queue_limit) == ("writer-0", 3, 72)
    assert found.models[0].name == "smollm2"


def test_health_by_name(mesh: Any, client: Any) -> None:
    """The whole server without a name; a service nobody knows is NotFound."""
    mesh.health.set("", health_pb2.HealthCheckResponse.SERVING)
    assert client.health() == "SERVING"
    with pytest.raises(errors.NotFound):
        client.health("nobody")


def test_every_call_has_a_deadline(mesh: Any, client: Any) -> None:
    """The client's own where the call names none."""
    left: list[float] = []

    def answer(request: embed_pb2.EmbedRequest, context: grpc.ServicerContext) -> embed_pb2.EmbedResponse:
        left.append(context.time_remaining() or 0.0)
        return embedded(request)

    mesh.answers["Embed"] = answer
    client.embed(["a"])
    client.embed(["a"], timeout=5.0)
    assert 15.0 < left[0] < 21.0
    assert left[1] < 6.0


def test_a_passed_deadline_is_a_typed_error(mesh: Any, client: Any) -> None:
    """The call returns when its deadline passes, whatever the server does."""

    def answer(request: embed_pb2.EmbedRequest, context: grpc.ServicerContext) -> embed_pb2.EmbedResponse:
        given_up = threading.Event()
        context.add_callback(given_up.set)
        given_up.wait()
        return embedded(request)

    mesh.answers["Embed"] = answer
    with pytest.raises(errors.DeadlineExceeded) as caught:
        client.embed(["a"], timeout=0.05)
    assert isinstance(caught.value, errors.RetryableError)


def test_error_details_are_read(mesh: Any, client: Any, fail: Any) -> None:
    """Reason, field, metadata and retry pause come from the google.rpc.Status of the reply."""
    mesh.answers["Embed"] = fail(
        grpc.StatusCode.INVALID_ARGUMENT,
        "texts[3] has 611 tokens",
        ErrorInfo(reason="ERROR_REASON_TEXT_TOO_LONG", domain="waypost", metadata={"limit": "256"}),
        BadRequest(field_violations=[BadRequest.FieldViolation(field="texts[3]")]),
        RetryInfo(retry_delay=Duration(nanos=500_000_000)),
    )
    with pytest.raises(errors.InvalidRequest, match="611 tokens") as caught:
        client.embed(["a"])
    error = caught.value
    assert (error.reason, error.field, error.retry_after) == ("ERROR_REASON_TEXT_TOO_LONG", "texts[3]", 0.5)
    assert error.metadata == {"limit": "256"}
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT


REASONS = [
    (grpc.StatusCode.NOT_FOUND, "ERROR_REASON_MODEL_NOT_FOUND", errors.NotFound, errors.CallerError),
    (grpc.StatusCode.FAILED_PRECONDITION, "ERROR_REASON_NOT_CAPABLE", errors.NotCapable, errors.CallerError),
    (grpc.StatusCode.FAILED_PRECONDITION, "ERROR_REASON_MODEL_UNLOADED", errors.Unloaded, errors.NotCapable),
    (grpc.StatusCode.PERMISSION_DENIED, "ERROR_REASON_PERMISSION_DENIED", errors.Denied, errors.CallerError),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_QUEUE_FULL", errors.Overloaded, errors.RetryableError),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_QUOTA_EXCEEDED", errors.QuotaExceeded, errors.CallerError),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_MESSAGE_TOO_LARGE", errors.InvalidRequest, errors.CallerError),
    (grpc.StatusCode.NOT_FOUND, "ERROR_REASON_ADAPTER_NOT_FOUND", errors.NotFound, errors.CallerError),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_RATE_LIMITED", errors.Overloaded, errors.RetryableError),
    (grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_PROVIDER_FAILED", errors.Unavailable, errors.RetryableError),
    (grpc.StatusCode.UNAUTHENTICATED, "ERROR_REASON_UNAUTHENTICATED", errors.Denied, errors.CallerError),
    (grpc.StatusCode.PERMISSION_DENIED, "ERROR_REASON_BLOCKED", errors.Blocked, errors.Denied),
    (grpc.StatusCode.ABORTED, "ERROR_REASON_CHANGED_MEANWHILE", errors.Conflict, errors.CallerError),
    (grpc.StatusCode.ABORTED, "", errors.Unavailable, errors.RetryableError),
    (grpc.StatusCode.NOT_FOUND, "ERROR_REASON_NOT_KNOWN", errors.NotFound, errors.CallerError),
    (grpc.StatusCode.INTERNAL, "ERROR_REASON_MODEL_FAILED", errors.ModelFailed, errors.ServerError),
    (grpc.StatusCode.UNIMPLEMENTED, "ERROR_REASON_NOT_IMPLEMENTED", errors.NotImplementedByServer, errors.ServerError),
    (grpc.StatusCode.DATA_LOSS, "", errors.ServerError, errors.WaypostError),
]


@pytest.mark.parametrize(("code", "reason", "cls", "side"), REASONS, ids=[row[1] or row[0].name for row in REASONS])
def test_error_classes_say_who_must_act(
    mesh: Any, fail: Any, code: grpc.StatusCode, reason: str, cls: type, side: type
) -> None:
    """Code and reason pick the class."""
    mesh.answers["Embed"] = fail(code, "no", ErrorInfo(reason=reason))
    with waypost.Client(mesh.address) as client, pytest.raises(cls) as caught:
        client.embed(["a"])
    assert type(caught.value) is cls
    assert isinstance(caught.value, side)


@pytest.mark.parametrize("made", [waypost.Client, Blocking], ids=["sync", "asyncio"])
def test_the_key_goes_along_with_every_call(mesh: Any, made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one given, else that of the environment, else none; an empty one is none."""
    sent: list[Any] = []

    def answer(request: Any, context: grpc.ServicerContext) -> embed_pb2.EmbedResponse:
        sent.append(dict(context.invocation_metadata()).get("authorization"))
        return embedded(request)

    mesh.answers["Embed"] = answer
    for environment in ("", "set"):
        monkeypatch.setenv("WAYPOST_KEY", environment)
        for key in (None, "given", ""):
            with closing(made(mesh.address, key=key)) as client:
                client.embed(["a"])
                assert "given" not in repr(client)
    assert sent == [None, "Bearer given", None, "Bearer set", "Bearer given", None]


def test_a_key_that_no_header_may_have_is_refused_without_being_shown() -> None:
    """A line break from a file, for instance."""
    with pytest.raises(errors.InvalidRequest, match="key has spaces") as caught:
        waypost.Client("127.0.0.1:1", key="s3cret\n")
    assert "s3cret" not in repr(caught.value) + repr(caught.value.metadata)


def test_unreadable_details_do_not_hide_the_failure(mesh: Any) -> None:
    """A proxy's own idea of the header leaves code and message."""

    def answer(request: object, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff"),))
        context.abort(grpc.StatusCode.NOT_FOUND, "gone")

    mesh.answers["Embed"] = answer
    with waypost.Client(mesh.address) as client, pytest.raises(errors.NotFound, match="gone"):
        client.embed(["a"])


BAD_CALLS: list[tuple[str, Callable[[Any], Any]]] = [
    ("texts", lambda client: client.embed("hello")),
    ("texts", lambda client: client.embed(iter(["a"]))),
    ("texts[1]", lambda client: client.embed(["a", None])),
    ("texts[0]", lambda client: client.embed([b"bytes"])),
    ("texts[0]", lambda client: client.embed(["\ud800"])),
    ("dimensions", lambda client: client.embed(["a"], dimensions=-1)),
    ("dimensions", lambda client: client.embed(["a"], dimensions=2**32)),
    ("tier", lambda client: client.embed(["a"], tier="best")),
    ("tags", lambda client: client.embed(["a"], tags="embed")),
    ("tenant", lambda client: client.embed(["a"], tenant=7)),
    ("no_cache", lambda client: client.embed(["a"], no_cache=1)),
    ("no_store", lambda client: client.embed(["a"], no_store="yes")),
    ("role", lambda client: client.create_token(role="root")),
    ("note", lambda client: client.create_token(note=b"x")),
    ("lifetime", lambda client: client.create_token(lifetime=float("inf"))),
    ("id", lambda client: client.revoke_token(7)),
    ("model", lambda client: client.unload_model(None)),
    ("task", lambda client: client.explain("a", task="sing")),
    ("text", lambda client: client.explain(None)),
    ("score", lambda client: client.feedback("7f3c", 2)),
    ("request_id", lambda client: client.feedback(None, 1)),
    ("rollout.steps[1]", lambda client: client.set_rollout(Rollout("w", "a", "b", steps=(0.1, 2.0)))),
    ("rollout.state", lambda client: client.set_rollout(Rollout("w", "a", "b", state="gone"))),
    ("rollout.step_limit", lambda client: client.set_rollout(Rollout("w", "a", "b", step_limit=float("inf")))),
    ("truncate", lambda client: client.embed(["a"], truncate="middle")),
    ("max_cost_usd", lambda client: client.embed(["a"], max_cost_usd=float("inf"))),
    ("threshold", lambda client: client.classify(["a"], threshold=float("nan"))),
    ("threshold", lambda client: client.classify(["a"], threshold=1.5)),
    ("top_k", lambda client: client.classify(["a"], top_k=True)),
    ("head", lambda client: client.classify(["a"], head=3)),
    ("query", lambda client: client.rerank(None, ["a"])),
    ("documents[0]", lambda client: client.rerank("q", [1])),
]


@pytest.mark.parametrize(("field", "call"), BAD_CALLS, ids=[f"{i}-{row[0]}" for i, row in enumerate(BAD_CALLS)])
def test_bad_values_are_refused_before_anything_is_sent(client: Any, mesh: Any, field: str, call: Any) -> None:
    """The same error type as the server's, with the path of the field."""
    with pytest.raises(errors.InvalidRequest) as caught:
        call(client)
    assert caught.value.field == field
    assert str(caught.value).startswith(field)
    assert caught.value.reason == "ERROR_REASON_INVALID_FIELD"
    assert not mesh.requests


def test_unknown_options_are_type_errors(client: Any) -> None:
    """A misspelt keyword is named."""
    with pytest.raises(TypeError, match="truncated"):
        client.embed(["a"], truncated=True)


def test_unavailable_calls_are_tried_again(mesh: Any, client: Any, fail: Any) -> None:
    """UNAVAILABLE twice, then an answer: the caller sees the answer."""
    refuse = fail(grpc.StatusCode.UNAVAILABLE, "restarting", ErrorInfo(reason="ERROR_REASON_NO_INSTANCE"))
    mesh.answers["Embed"] = lambda request, context: (
        refuse(request, context) if len(mesh.requests) < 3 else embedded(request)
    )
    assert len(client.embed(["a"]).vectors) == 1
    assert len(mesh.requests) == 3


def test_calls_with_side_effects_are_not_tried_again(mesh: Any, client: Any, fail: Any) -> None:
    """Generate is not idempotent in the contract: one attempt."""
    mesh.answers["Generate"] = fail(grpc.StatusCode.UNAVAILABLE, "restarting")
    with pytest.raises(errors.Unavailable):
        client.generate("x")
    assert len(mesh.requests) == 1


def test_pushback_is_honoured(mesh: Any, client: Any) -> None:
    """A server that says "do not retry" (negative pushback) gets one attempt."""

    def answer(request: object, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata((("grpc-retry-pushback-ms", "-1"),))
        context.abort(grpc.StatusCode.UNAVAILABLE, "leave me")

    mesh.answers["Embed"] = answer
    with pytest.raises(errors.Unavailable):
        client.embed(["a"])
    assert len(mesh.requests) == 1


def test_a_worker_answers_at_its_unix_socket(plane: Plane) -> None:
    """Whose path is no `:authority` that a careful server takes."""
    with waypost.Client(plane.worker(plane.hash_model()).address) as client:
        assert client.instance().instance == "w"


def test_nobody_listening_is_unavailable(tmp_path: Any) -> None:
    """The network's own failure has a class too, and no reason of Waypost's."""
    with waypost.Client(f"unix:{tmp_path}/nobody.sock") as client, pytest.raises(errors.Unavailable) as caught:
        client.models(timeout=5.0)
    assert caught.value.reason == ""


def test_retries_cover_exactly_the_calls_without_side_effects() -> None:
    """The service config is read from the contract's idempotency levels."""
    config = json.loads(_calls.service_config())
    names = {f"{each['service']}/{each['method']}" for each in config["methodConfig"][0]["name"]}
    assert {"waypost.v1.EmbedService/Embed", "waypost.v1.RetrieveService/UpsertDocuments"} <= names
    assert "waypost.v1.GenerateService/Generate" not in names


def test_messages_of_many_megabytes_pass(mesh: Any, client: Any) -> None:
    """The reply may have up to 32 MiB, not grpcio's 4."""
    mesh.answers["Embed"] = lambda request, context: embed_pb2.EmbedResponse(
        dimensions=1024, vectors=bytes(16 * 1024 * 1024)
    )
    assert client.embed(["a"]).vectors.shape == (4096, 1024)
