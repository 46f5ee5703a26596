"""The Open Inference Protocol by Triton's own client: every rpc, all four tasks, and the same answers as natively."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient import grpc as triton
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

import waypost
from tests.plane import (
    DIMENSIONS,
    PATIENCE_S,
    Node,
    Plane,
    Session,
    Writer,
    classify,
    embed,
    eventually,
    failure,
    rerank,
    vectors,
)
from tests.triton import Answers, dial, floats, infer, raw, refused, request, said, tensor, wanted, words
from waypost.v1 import common_pb2, generate_pb2

Code = grpc.StatusCode
MANUAL = (Path(__file__).parents[1] / "docs" / "oip.md").read_text()
LABELS = ("glad", "sad", "so-so")


@pytest.fixture
def session() -> Session:
    return Session()


@pytest.fixture
def writer(plane: Plane) -> Writer:
    return plane.writer()


@pytest.fixture
def router(plane: Plane, session: Session, writer: Writer) -> Node:
    """An encoder `m` with heads, hash vectors `hash`, and `w`, which writes."""
    weights = np.random.default_rng(7).normal(size=(len(LABELS), DIMENSIONS)).astype(np.float16)
    heads = [plane.head(labels=LABELS, matrices={"weight": weights}), plane.head("tone", ("dry", "wry"))]
    encoder = plane.model(session, heads=heads)
    return plane.router(plane.worker(encoder, plane.hash_model()), plane.worker(writer, name="v"))


@pytest.fixture
def client(router: Node) -> Iterator[triton.InferenceServerClient]:
    with closing(dial(router.address)) as opened:
        yield opened


@pytest.fixture
def stream(client: triton.InferenceServerClient) -> Iterator[Answers]:
    """An open stream's answers."""
    answers = Answers()
    client.start_stream(answers.put)
    yield answers
    client.stop_stream(cancel_requests=True)


def test_the_server_lives_and_is_ready_once_a_model_is(plane: Plane, client: triton.InferenceServerClient) -> None:
    """A router without a worker lives, and is not ready."""
    assert client.is_server_live()
    assert client.is_server_ready()
    alone = plane.router(instance="alone", listen=f"unix:{plane.folder}/alone.sock")
    with closing(dial(alone.address)) as lonely:
        assert (lonely.is_server_live(), lonely.is_server_ready()) == (True, False)


def test_models_are_ready_by_name_and_version(client: triton.InferenceServerClient) -> None:
    """One that nobody knows is not ready, which is no error."""
    asked = [("m", ""), ("m", "1"), ("m", "2"), ("nobody", "")]
    assert [client.is_model_ready(*each) for each in asked] == [True, True, False, False]


def test_the_server_says_what_it_is(client: triton.InferenceServerClient) -> None:
    """With the extensions it has."""
    told = client.get_server_metadata()
    assert (told.name, told.version) == ("waypost", "0.1.0")
    assert {"classification", "statistics", "model_repository"} <= set(told.extensions)


def test_a_model_says_its_tensors(client: triton.InferenceServerClient) -> None:
    """Inputs of every task it does; a head has as many columns as labels."""
    told = client.get_model_metadata("m")
    assert (told.name, list(told.versions), told.platform) == ("m", ["1"], "fake")
    assert [(each.name, each.datatype, list(each.shape)) for each in told.inputs] == [
        ("text", "BYTES", [-1]),
        ("query", "BYTES", [1]),
        ("documents", "BYTES", [-1]),
    ]
    assert {each.name: (each.datatype, list(each.shape)) for each in told.outputs} == {
        "embedding": ("FP32", [-1, DIMENSIONS]),
        "mood": ("FP32", [-1, 3]),
        "tone": ("FP32", [-1, 2]),
        "score": ("FP32", [-1]),
        "ranking": ("INT32", [-1]),
    }
    written = {each.name: each.datatype for each in client.get_model_metadata("w").outputs}
    assert written == {"text": "BYTES", "finish_reason": "BYTES"} | dict.fromkeys(
        ("prompt_tokens", "completion_tokens"), "UINT32"
    )


def test_a_model_s_configuration_says_the_labels(client: triton.InferenceServerClient) -> None:
    """In the order of the scores; what writes is decoupled."""
    told = client.get_model_config("m").config
    assert json.loads(told.parameters["labels.mood"].string_value) == list(LABELS)
    assert (told.backend, told.max_batch_size, told.model_transaction_policy.decoupled) == ("fake", 0, False)
    assert client.get_model_config("w").config.model_transaction_policy.decoupled


def test_vectors_are_the_native_ones(client: triton.InferenceServerClient, router: Node) -> None:
    """As [N] and as [N, 1]; no output named means those of the model's first task."""
    texts = ("one", "", "three words here")
    native = vectors(router.call(embed(*texts, model="m")))
    for shape in ((3,), (3, 1)):
        result = client.infer("m", [tensor("text", *texts, shape=shape)], request_id="r1")
        assert np.array_equal(floats(result, "embedding"), native)
        answer = result.get_response()
        assert (answer.id, answer.model_name, answer.model_version, len(answer.outputs)) == ("r1", "m", "1", 1)


def test_typed_contents_are_taken_as_well(router: Node) -> None:
    """By clients that send no raw ones."""
    contents = service_pb2.InferTensorContents(bytes_contents=["häßlich".encode()])
    reply = infer(router, request(raw(contents=contents), model_name="hash")).result()
    native = router.call(embed("häßlich", model="hash"))
    assert reply.raw_output_contents[0] == native.vectors


def test_scores_are_in_the_order_of_the_labels(client: triton.InferenceServerClient, router: Node) -> None:
    """Calibrated as natively, where the best comes first."""
    texts = ("one", "two")
    native = router.call(classify(*texts, model="m", head="mood"))
    rows = [{each.label: each.score for each in result.labels} for result in native.results]
    result = client.infer("m", [tensor("text", *texts)], outputs=wanted("mood"))
    assert floats(result, "mood").tolist() == [[row[label] for label in LABELS] for row in rows]


def test_the_best_labels_come_as_triton_writes_them(client: triton.InferenceServerClient, router: Node) -> None:
    """Score, index and label; no more than there are."""
    native = router.call(classify("one", model="m", head="mood")).results[0].labels
    for count in (2, 9):
        result = client.infer("m", [tensor("text", "one")], outputs=wanted(mood=count))
        best = [f"{each.score:.6f}:{LABELS.index(each.label)}:{each.label}" for each in native[:count]]
        assert words(result, "mood") == [best]


def test_several_outputs_are_calls_side_by_side(client: triton.InferenceServerClient, session: Session) -> None:
    """In the order in which they are asked for, each with its own trailers."""
    outputs = wanted("mood", "embedding", tone=1)
    result = client.infer("m", [tensor("text", "one", "two")], outputs=outputs)
    assert [each.name for each in result.get_response().outputs] == ["mood", "embedding", "tone"]
    assert floats(result, "embedding").shape == (2, DIMENSIONS)
    assert len(said(result)["waypost-request-id"].split(",")) == 3
    assert set(session.ran) == {"one", "two"}


def test_reranking_is_the_native_one(client: triton.InferenceServerClient, router: Node) -> None:
    """Scores in the order of the documents, positions best first."""
    documents = ("a blue boat", "the red car", "red")
    native = router.call(rerank("red car", *documents, model="m")).ranking
    result = client.infer("m", [tensor("documents", *documents), tensor("query", "red car")])
    assert result.as_numpy("ranking").tolist() == [each.index for each in native]
    scores = floats(result, "score")
    assert [scores[each.index] for each in native] == [each.score for each in native]


def begin(client: triton.InferenceServerClient, *inputs: Any, **options: Any) -> Answers:
    """A call of the writer under way."""
    answers = Answers()
    client.async_infer("w", list(inputs), answers.put, **options)
    return answers


def test_text_is_written_with_its_figures(client: triton.InferenceServerClient, writer: Writer) -> None:
    """The prompt as it is, the parameters where the contract has them."""
    parameters = {"max_tokens": 5, "temperature": 0.5, "top_p": 1, "top_k": 4, "seed": 7, "stop": '["x", "y"]'}
    answers = begin(client, tensor("prompt", "Once"), parameters=parameters | {"json_schema": "{}"}, priority=1)
    job = writer.next()
    got = generate_pb2.GenerateRequest.FromString(job.request)
    assert (got.raw, got.max_tokens, list(got.stop), got.json_schema) == ("Once", 5, ["x", "y"], "{}")
    sampling = got.sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.seed) == (0.5, 1.0, 4, 7)
    assert got.route.priority == common_pb2.PRIORITY_HIGH
    job.push("upon a time")
    job.finish("length", prompt_tokens=3, completion_tokens=2)
    result = answers.next()
    assert (words(result, "text"), words(result, "finish_reason")) == (["upon a time"], ["length"])
    assert [result.as_numpy(name).tolist() for name in ("prompt_tokens", "completion_tokens")] == [[3], [2]]


def test_a_conversation_is_json(client: triton.InferenceServerClient, writer: Writer) -> None:
    """And only the outputs that are asked for come back."""
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    answers = begin(client, tensor("messages", json.dumps(turns)), outputs=wanted("text"), sequence_id="s7")
    job = writer.next()
    got = generate_pb2.GenerateRequest.FromString(job.request)
    assert [(each.role, each.content) for each in got.chat.messages] == [("system", "Be brief."), ("user", "Hi")]
    assert got.route.session == "s7"
    job.push("Hello")
    job.finish("stop")
    assert [each.name for each in answers.next().get_response().outputs] == ["text"]


def test_a_stream_brings_pieces_as_they_are_written(
    client: triton.InferenceServerClient, writer: Writer, stream: Answers
) -> None:
    """Each before the next is written; the last says so, and what it came to."""
    client.async_stream_infer("w", [tensor("prompt", "Once")], request_id="r1")
    job = writer.next()
    for piece in ("upon", " a"):
        job.push(piece)
        result = stream.next()
        assert (words(result, "text"), said(result)) == ([piece], {"triton_final_response": False})
        assert (result.get_response().id, result.get_response().model_name) == ("r1", "w")
    job.finish("stop", prompt_tokens=3, completion_tokens=2)
    last = stream.next()
    assert (words(last, "text"), words(last, "finish_reason")) == ([""], ["stop"])
    assert (last.as_numpy("completion_tokens").tolist(), said(last)["triton_final_response"]) == ([2], True)
    assert said(last)["waypost-served-model"] == "w"


def test_the_end_of_a_stream_is_said_alone_where_that_is_asked_for(
    client: triton.InferenceServerClient, writer: Writer, stream: Answers
) -> None:
    """By a response without tensors."""
    client.async_stream_infer("w", [tensor("prompt", "Once")], enable_empty_final_response=True)
    job = writer.next()
    job.push("upon")
    job.finish("stop")
    *pieces, figures, end = stream.whole()
    assert "".join(words(each, "text")[0] for each in [*pieces, figures]) == "upon"
    assert [len(each.get_response().outputs) for each in (figures, end)] == [4, 0]
    assert end.get_response().model_name == "w"


def test_whole_answers_come_in_the_order_of_their_requests(
    client: triton.InferenceServerClient, stream: Answers, session: Session
) -> None:
    """However long each takes."""
    session.gate.clear()
    for name, text in (("m", "slow"), ("hash", "quick"), ("m", "slow too")):
        client.async_stream_infer(name, [tensor("text", text)], request_id=f"{name} {text}")
    assert session.next()
    session.gate.set()
    ids = [stream.next().get_response().id for _ in range(3)]
    assert ids == ["m slow", "hash quick", "m slow too"]


def test_what_is_written_does_not_hold_up_what_is_whole(
    client: triton.InferenceServerClient, writer: Writer, stream: Answers
) -> None:
    """One stream, two tasks."""
    client.async_stream_infer("w", [tensor("prompt", "Once")], request_id="long")
    job = writer.next()
    client.async_stream_infer("hash", [tensor("text", "one")], request_id="short")
    assert stream.next().get_response().id == "short"
    job.finish("stop")
    assert stream.next().get_response().id == "long"


def test_a_failed_request_leaves_the_stream_open(client: triton.InferenceServerClient, stream: Answers) -> None:
    """Its error comes in its turn."""
    client.async_stream_infer("nobody", [tensor("text", "one")], request_id="r1")
    client.async_stream_infer("hash", [tensor("text", "one")], request_id="r2")
    assert "no instance has a model" in stream.error().message()
    assert stream.next().get_response().id == "r2"


def test_the_error_of_a_stream_names_its_request(router: Node) -> None:
    """In the response beside the message."""
    rpc = router.channel.stream_stream(
        "/inference.GRPCInferenceService/ModelStreamInfer",
        service_pb2.ModelInferRequest.SerializeToString,
        service_pb2.ModelStreamInferResponse.FromString,
    )
    (answer,) = rpc(iter([request(raw(), model_name="hash", id="r9")]))
    assert (answer.infer_response.id, bool(answer.error_message)) == ("r9", True)
    strict = rpc(iter([request(raw(), model_name="hash")]), metadata=(("triton_grpc_error", "true"),))
    with pytest.raises(grpc.RpcError) as ended:
        list(strict)
    assert ended.value.code() == Code.INVALID_ARGUMENT


def test_a_caller_who_leaves_the_stream_frees_the_model(
    client: triton.InferenceServerClient, writer: Writer, stream: Answers
) -> None:
    """At once, not when the answer is written."""
    client.async_stream_infer("w", [tensor("prompt", "Once")])
    job = writer.next()
    client.stop_stream(cancel_requests=True)
    assert eventually(lambda: job.cancelled)


def test_a_router_that_leaves_ends_its_streams(
    client: triton.InferenceServerClient, router: Node, stream: Answers, writer: Writer
) -> None:
    """Once what was asked is answered, and well before its patience is over."""
    client.async_stream_infer("w", [tensor("prompt", "Once")])
    job = writer.next()
    drained = router.drain(PATIENCE_S)
    eventually(lambda: not client.is_server_ready())
    job.finish("stop")
    assert said(stream.next())["triton_final_response"]
    assert stream.error().status() == "StatusCode.UNAVAILABLE"
    assert drained.result(PATIENCE_S)


@pytest.mark.parametrize("limit", [{"timeout": 50_000}, {"client_timeout": 0.05}], ids=["parameter", "deadline"])
def test_a_call_ends_with_its_time(
    client: triton.InferenceServerClient, session: Session, limit: dict[str, Any]
) -> None:
    """Triton's parameter, in microseconds, or gRPC's own."""
    session.gate.clear()
    with pytest.raises(InferenceServerException) as late:
        client.infer("m", [tensor("text", "one")], **limit)
    assert late.value.status() == "StatusCode.DEADLINE_EXCEEDED"


def test_the_sooner_of_both_limits_holds(router: Node, session: Session) -> None:
    """And the error says the stage, as for any call."""
    session.gate.clear()
    timed = request(raw(), model_name="m", raw_input_contents=[b"\0\0\0\0"])
    timed.parameters["timeout"].int64_param = 50_000
    told = refused(router, timed)
    assert (told.code, told.reason, "stage" in told.metadata) == (Code.DEADLINE_EXCEEDED, "DEADLINE", True)


ONE = b"\x03\0\0\0one"
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "datatype": (lambda: request(raw(datatype="FP32")), "inputs[0].datatype"),
    "rank": (lambda: request(raw(shape=(1, 1, 1)), raw_input_contents=[ONE]), "inputs[0].shape"),
    "columns": (lambda: request(raw(shape=(1, 2)), raw_input_contents=[ONE * 2]), "inputs[0].shape"),
    "negative": (lambda: request(raw(shape=(-1,)), raw_input_contents=[ONE]), "inputs[0].shape"),
    "too few": (lambda: request(raw(shape=(2,)), raw_input_contents=[ONE]), "raw_input_contents[0]"),
    "too many": (lambda: request(raw(), raw_input_contents=[ONE * 2]), "raw_input_contents[0]"),
    "cut short": (lambda: request(raw(), raw_input_contents=[ONE[:-1]]), "raw_input_contents[0]"),
    "not text": (lambda: request(raw(), raw_input_contents=[b"\x01\0\0\0\xff"]), "inputs[0] at 0"),
    "no contents": (lambda: request(raw()), "inputs[0].contents.bytes_contents"),
    "contents for another": (lambda: request(raw(), raw_input_contents=[ONE, ONE]), "raw_input_contents"),
    "input": (lambda: request(raw("txt"), raw_input_contents=[ONE]), "inputs"),
    "no input": (lambda: request(), "inputs"),
    "input twice": (lambda: request(raw(), raw(), raw_input_contents=[ONE, ONE]), "inputs[1].name"),
    "query alone": (lambda: request(raw("query"), raw_input_contents=[ONE]), "inputs"),
    "output": (partial(request, outputs=[{"name": "mod"}]), "outputs[0].name"),
    "output twice": (partial(request, outputs=[{"name": "mood"}, {"name": "mood"}]), "outputs[1].name"),
    "labels of vectors": (
        partial(request, outputs=[{"name": "embedding", "parameters": {"classification": {"int64_param": 2}}}]),
        "outputs[0].parameters.classification",
    ),
    "version": (partial(request, model_version="2"), "model_version"),
    "parameter": (partial(request, parameters={"max_tokns": {"int64_param": 1}}), "parameters.max_tokns"),
    "tier": (partial(request, parameters={"waypost_tier": {"string_param": "huge"}}), "parameters.waypost_tier"),
    "dimensions": (partial(request, parameters={"dimensions": {"int64_param": -1}}), "parameters.dimensions"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_meant_is_refused_by_its_field(router: Node, name: str) -> None:
    """With what is expected."""
    make, field = REFUSED[name]
    message = make(raw(), raw_input_contents=[ONE]) if isinstance(make, partial) else make()
    message.model_name = "m"
    told = refused(router, message)
    assert (told.code, told.reason, told.fields) == (Code.INVALID_ARGUMENT, "INVALID_FIELD", (field,)), told.message


def test_messages_that_are_none_are_refused(router: Node) -> None:
    """With what is wrong with them."""
    text = b'[{"role": "user"}]'
    message = request(raw("messages"), raw_input_contents=[len(text).to_bytes(4, "little") + text], model_name="w")
    told = refused(router, message)
    assert (told.code, told.fields) == (Code.INVALID_ARGUMENT, ("messages",))
    assert "missing field `content`" in told.message


def test_other_failures_are_those_of_the_native_call(router: Node) -> None:
    """The same code, reason and trailers."""
    nobody = request(raw(), model_name="nobody", raw_input_contents=[ONE])
    assert refused(router, nobody) == router.failure(embed("one", model="nobody"))
    unfit = request(raw("prompt"), model_name="hash", raw_input_contents=[ONE])
    assert refused(router, unfit).reason == "NOT_CAPABLE"
    empty = request(raw(shape=(0,)), model_name="hash", raw_input_contents=[b""])
    assert refused(router, empty).reason == "EMPTY_INPUT"


def test_a_message_that_is_too_large_is_refused_as_natively(plane: Plane) -> None:
    """RESOURCE_EXHAUSTED, with the limit."""
    router = plane.router(plane.worker(plane.hash_model()), limits={"max_receive_bytes": 1000})
    told = refused(router, request(raw(), model_name="hash", raw_input_contents=[b"x" * 1000]))
    assert (told.code, told.reason, told.metadata["limit"]) == (Code.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE", "1000")


def test_a_key_is_wanted_where_keys_are(plane: Plane) -> None:
    """And says who the tenant is."""
    tenants = [{"name": "acme", "key": "k1"}]
    router = plane.router(plane.worker(plane.hash_model()), tenants=tenants)
    message = request(raw(), model_name="hash", raw_input_contents=[ONE])
    assert refused(router, message).reason == "UNAUTHENTICATED"
    key = (("authorization", "Bearer k1"),)
    assert infer(router, message, metadata=key).result().model_name == "hash"
    message.parameters["waypost_tenant"].string_param = "other"
    assert failure(infer(router, message, metadata=key)).code == Code.PERMISSION_DENIED


def test_what_the_router_says_is_in_trailers_and_parameters(router: Node) -> None:
    """For clients that see the one or the other."""
    call = infer(router, request(raw(), model_name="hash", id="r7", raw_input_contents=[ONE]))
    parameters = {name: each.string_param for name, each in call.result().parameters.items()}
    trailers = {name: value for name, value in call.trailing_metadata() if name.startswith("waypost-")}
    assert parameters == trailers
    assert (trailers["waypost-served-model"], trailers["waypost-request-id"]) == ("hash", "r7")


def test_statistics_count_what_came_through_this_door(client: triton.InferenceServerClient, router: Node) -> None:
    """By model: texts, calls, failures, and where the time went."""
    router.call(embed("natively", model="hash"))
    client.infer("hash", [tensor("text", "one", "two")])
    with pytest.raises(InferenceServerException):
        client.infer("hash", [tensor("txt", "one")])
    (told,) = client.get_inference_statistics("hash").model_stats
    assert (told.name, told.version, told.inference_count, told.execution_count) == ("hash", "1", 2, 1)
    counts = told.inference_stats
    assert (counts.success.count, counts.fail.count, counts.compute_infer.count) == (1, 1, 1)
    assert told.last_inference > 1_700_000_000_000
    assert counts.success.ns > counts.compute_infer.ns > 0
    everything = client.get_inference_statistics().model_stats
    assert {each.name: each.inference_count for each in everything} == {"hash": 2, "m": 0, "w": 0}
    with pytest.raises(InferenceServerException, match="no instance has a model"):
        client.get_inference_statistics("nobody")


def test_statistics_know_what_the_router_answered_itself(plane: Plane) -> None:
    """From its cache: nothing was executed then."""
    router = plane.router(plane.worker(plane.hash_model()), cache={"enabled": True})
    with closing(dial(router.address)) as client:
        for _ in range(3):
            result = client.infer("hash", [tensor("text", "one")])
        assert said(result)["waypost-cache"] == "hit"
        (told,) = client.get_inference_statistics("hash").model_stats
    counts = told.inference_stats
    assert (told.inference_count, told.execution_count) == (3, 1)
    assert (counts.success.count, counts.cache_hit.count, counts.cache_miss.count) == (3, 2, 1)


def test_models_are_taken_out_of_service_and_back(client: triton.InferenceServerClient) -> None:
    """The index says by whom."""
    client.unload_model("hash")
    index = {each.name: (each.state, each.reason) for each in client.get_model_repository_index().models}
    assert index == {"hash": ("UNAVAILABLE", "unloaded by an operator"), "m": ("READY", ""), "w": ("READY", "")}
    assert not client.is_model_ready("hash")
    with pytest.raises(InferenceServerException) as gone:
        client.infer("hash", [tensor("text", "one")])
    assert gone.value.status() == "StatusCode.FAILED_PRECONDITION"
    client.load_model("hash")
    assert client.is_model_ready("hash")
    with pytest.raises(InferenceServerException, match=r"parameters\.config"):
        client.load_model("hash", config="{}")


def test_tensors_travel_in_messages_only(client: triton.InferenceServerClient) -> None:
    """No region is there, and none can be made."""
    assert not client.get_system_shared_memory_status().regions
    assert not client.get_cuda_shared_memory_status().regions
    for refuse in (
        lambda: client.register_system_shared_memory("r", "/r", 8),
        lambda: client.unregister_system_shared_memory("r"),
        lambda: client.register_cuda_shared_memory("r", b"", 0, 8),
        lambda: client.unregister_cuda_shared_memory("r"),
    ):
        with pytest.raises(InferenceServerException) as told:
            refuse()
        assert told.value.status() == "StatusCode.UNIMPLEMENTED"


def test_settings_can_be_read(client: triton.InferenceServerClient) -> None:
    """And are not changed from here."""
    assert list(client.get_trace_settings().settings["trace_level"].value) == ["OFF"]
    assert client.get_log_settings().settings["log_verbose_level"].uint32_param == 0
    for refuse in (
        lambda: client.update_trace_settings(settings={"trace_level": "TIMESTAMPS"}),
        lambda: client.update_log_settings({"log_info": False}),
    ):
        with pytest.raises(InferenceServerException, match="does not answer it"):
            refuse()


def test_the_mesh_on_real_models_answers_as_natively(default_mesh: str) -> None:
    """All four tasks, in the same process as Waypost's own client."""
    texts, documents = ["hello", "a warm, funny film"], ["a blue boat", "the red car"]
    with closing(dial(default_mesh)) as client, waypost.Client(default_mesh) as native:
        embedded = client.infer("minilm", [tensor("text", *texts)])
        assert np.array_equal(floats(embedded, "embedding"), native.embed(texts, model="minilm").vectors)
        moods = client.infer("minilm", [tensor("text", *texts)], outputs=wanted("sentiment"))
        best = [each.labels[0] for each in native.classify(texts, model="minilm", head="sentiment").results]
        assert floats(moods, "sentiment").max(axis=1).tolist() == [each.score for each in best]
        ranked = client.infer("minilm", [tensor("query", "red car"), tensor("documents", *documents)])
        assert ranked.as_numpy("ranking").tolist() == [1, 0]
        messages = tensor("messages", json.dumps([{"role": "user", "content": "Say hello."}]))
        parameters = {"max_tokens": 8, "temperature": 0}
        written = client.infer("smollm2", [messages], parameters=parameters)
        answer = native.generate("Say hello.", model="smollm2", max_tokens=8, temperature=0.0)
        assert words(written, "text") == [answer.text]
        answers = Answers()
        client.start_stream(answers.put)
        client.async_stream_infer("smollm2", [messages], parameters=parameters)
        assert "".join(words(each, "text")[0] for each in answers.whole()) == answer.text
        client.stop_stream()


def test_the_manual_s_example_prints_what_it_says(default_mesh: str) -> None:
    """Against the embedded default on real models."""
    ((code, printed),) = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", MANUAL, re.DOTALL)
    here = code.replace("127.0.0.1:50051", default_mesh)
    done = subprocess.run([sys.executable, "-c", here], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (printed, "")
