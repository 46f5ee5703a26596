"""Failures, in the form and with the statuses that OpenAI's clients know."""

from __future__ import annotations

from typing import Any

import grpc
import openai
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from tests.fake_mesh import FakeMesh, failing, trailing
from tests.gateway import Gateway
from waypost.v1 import embed_pb2, error_pb2

Code = grpc.StatusCode
PATH = "/v1/embeddings"
BODY = {"model": "m", "input": ["a"]}


def reason(name: str) -> ErrorInfo:
    return ErrorInfo(reason=f"ERROR_REASON_{name}", domain="waypost")


def pause(seconds: float) -> RetryInfo:
    return RetryInfo(retry_delay=Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9)))


TABLE: list[tuple[Code, list[Message], int, str, str | None]] = [
    (Code.INVALID_ARGUMENT, [reason("INVALID_FIELD")], 400, "invalid_value", None),
    (Code.INVALID_ARGUMENT, [reason("TEXT_TOO_LONG")], 400, "context_length_exceeded", None),
    (Code.INVALID_ARGUMENT, [reason("TEXT_TOO_LARGE")], 413, "text_too_large", None),
    (Code.FAILED_PRECONDITION, [reason("NOT_CAPABLE")], 400, "not_capable", None),
    (Code.FAILED_PRECONDITION, [reason("MODEL_UNLOADED")], 400, "model_unloaded", None),
    (Code.FAILED_PRECONDITION, [reason("MODEL_PINNED")], 400, "model_pinned", None),
    (Code.UNAUTHENTICATED, [reason("UNAUTHENTICATED")], 401, "invalid_api_key", None),
    (Code.PERMISSION_DENIED, [reason("PERMISSION_DENIED")], 403, "permission_denied", None),
    (Code.PERMISSION_DENIED, [reason("BLOCKED")], 403, "content_filter", None),
    (Code.NOT_FOUND, [reason("MODEL_NOT_FOUND")], 404, "model_not_found", None),
    (Code.NOT_FOUND, [reason("HEAD_NOT_FOUND")], 404, "head_not_found", None),
    (Code.NOT_FOUND, [reason("INSTANCE_NOT_FOUND")], 404, "instance_not_found", None),
    (Code.NOT_FOUND, [reason("NAMESPACE_NOT_FOUND")], 404, "namespace_not_found", None),
    (Code.ABORTED, [reason("CHANGED_MEANWHILE")], 409, "changed_meanwhile", None),
    (Code.RESOURCE_EXHAUSTED, [reason("MESSAGE_TOO_LARGE")], 413, "message_too_large", None),
    (Code.RESOURCE_EXHAUSTED, [reason("QUEUE_FULL"), pause(0.25)], 429, "queue_full", "1"),
    (Code.RESOURCE_EXHAUSTED, [reason("RATE_LIMITED"), pause(7.01)], 429, "rate_limit_exceeded", "8"),
    (Code.RESOURCE_EXHAUSTED, [reason("QUOTA_EXCEEDED"), pause(3)], 429, "rate_limit_exceeded", "3"),
    (Code.RESOURCE_EXHAUSTED, [reason("QUOTA_EXCEEDED")], 429, "insufficient_quota", None),
    (Code.UNAVAILABLE, [reason("QUOTA_EXCEEDED"), pause(2)], 503, "quota_exceeded", "2"),
    (Code.UNAVAILABLE, [reason("PROVIDER_FAILED"), pause(2)], 503, "provider_failed", "2"),
    (Code.UNAVAILABLE, [reason("LOAD_FAILED"), pause(2)], 503, "load_failed", "2"),
    (Code.RESOURCE_EXHAUSTED, [reason("STORE_FULL")], 507, "store_full", None),
    (Code.INTERNAL, [reason("MODEL_FAILED")], 500, "model_failed", None),
    (Code.UNKNOWN, [], 500, "unknown", None),
    (Code.UNIMPLEMENTED, [reason("NOT_IMPLEMENTED")], 501, "not_implemented", None),
    (Code.DEADLINE_EXCEEDED, [reason("DEADLINE")], 504, "timeout", None),
]


@pytest.mark.parametrize(("code", "details", "status", "word", "after"), TABLE)
def test_each_failure_has_its_status(
    mesh: FakeMesh,
    gateway: Gateway,
    code: Code,
    details: list[Message],
    status: int,
    word: str,
    after: str | None,
) -> None:
    """With the reason's word, and the pause in whole seconds where coming back helps.

    Of a completion, because calls without side effects are tried again while they are UNAVAILABLE.
    """
    mesh.answers["Generate"] = failing(code, "no", *details)
    reply = gateway.post("/v1/completions", {"prompt": "p"})
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["message"]) == (status, word, "no")
    assert reply.headers.get("retry-after") == after


def test_every_reason_has_a_row_or_its_statuss() -> None:
    """None becomes a 500 by being forgotten."""
    tested = {detail.reason for _, details, *_ in TABLE for detail in details if isinstance(detail, ErrorInfo)}
    others = {
        "UNSPECIFIED", "EMPTY_INPUT", "TOO_MANY_INPUTS", "MALFORMED_REQUEST", "NO_INSTANCE", "DRAINING",
        "INSTANCE_LOST", "ADAPTER_NOT_FOUND", "NOT_KNOWN", "STORE_UNAVAILABLE",
    }  # fmt: skip
    assert tested | {f"ERROR_REASON_{name}" for name in others} == set(error_pb2.ErrorReason.keys())


def test_fields_have_the_requests_names(mesh: FakeMesh, gateway: Gateway) -> None:
    """`texts[3]` of the contract is `input[3]` here."""
    bad = BadRequest(field_violations=[BadRequest.FieldViolation(field="texts[3]")])
    mesh.answers["Embed"] = failing(Code.INVALID_ARGUMENT, "too long", reason("TEXT_TOO_LONG"), bad)
    assert gateway.refused(PATH, BODY)[1]["param"] == "input[3]"
    bad = BadRequest(field_violations=[BadRequest.FieldViolation(field="sampling.top_p")])
    mesh.answers["Generate"] = failing(Code.INVALID_ARGUMENT, "no", reason("INVALID_FIELD"), bad)
    assert gateway.refused("/v1/completions", {"prompt": "p"})[1]["param"] == "top_p"


ERRORS = {
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    429: openai.RateLimitError,
}


@pytest.mark.parametrize("status", ERRORS)
def test_openais_client_knows_them(mesh: FakeMesh, gateway: Gateway, status: int) -> None:
    """By their classes."""
    code, details, *_ = next(row for row in TABLE if row[2] == status)
    mesh.answers["Embed"] = failing(code, "no", *details)
    with pytest.raises(ERRORS[status]):
        gateway.openai().embeddings.create(model="m", input="a")


def test_openais_client_comes_back_when_told(mesh: FakeMesh, gateway: Gateway) -> None:
    """After a 429 that says when."""
    full = failing(Code.RESOURCE_EXHAUSTED, "full", reason("QUEUE_FULL"), pause(0.5))
    vector = embed_pb2.EmbedResponse(dimensions=1, vectors=bytes(4))
    mesh.answers["Embed"] = lambda request, context: full(request, context) if len(mesh.requests) < 2 else vector
    assert gateway.openai(max_retries=2).embeddings.create(model="m", input="a").data
    assert len(mesh.requests) == 2


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", PATH, 405, "method_not_allowed"),
        ("POST", PATH + "/", 404, "not_found"),
    ],
)
def test_paths_and_methods(gateway: Gateway, method: str, path: str, status: int, code: str) -> None:
    """Those that are none fail in the same form."""
    reply = gateway.client.request(method, path)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"{", "invalid_json"), (b"\xff", "invalid_json"), (b"[]", "invalid_value"), (b"", "invalid_json")],
)
def test_what_is_no_json_object(gateway: Gateway, body: bytes, code: str) -> None:
    """A 400, never a 422."""
    reply = gateway.client.post(PATH, content=body, headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, code)


def test_what_is_not_sent_as_json(gateway: Gateway) -> None:
    """As curl does it, unless it is told otherwise."""
    reply = gateway.client.post(PATH, content=b"{}", headers={"content-type": "application/x-www-form-urlencoded"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (415, "unsupported_media_type")


def test_a_body_without_a_type_is_refused(gateway: Gateway) -> None:
    """A browser sends one from any page without asking first, to a gateway that listens on its machine too."""
    reply = gateway.client.post("/v1/embeddings", content=b'{"input": "a"}')
    assert (reply.status_code, reply.json()["error"]["code"]) == (415, "unsupported_media_type")


def seen(mesh: FakeMesh) -> list[dict[str, Any]]:
    """Answers Embed; the metadata of its calls comes into the list."""
    metadata: list[dict[str, Any]] = []

    def answer(request: object, context: grpc.ServicerContext) -> embed_pb2.EmbedResponse:
        metadata.append(dict(context.invocation_metadata()) | {"remaining": context.time_remaining()})
        return embed_pb2.EmbedResponse(dimensions=1, vectors=bytes(4))

    mesh.answers["Embed"] = trailing({"waypost-request-id": "r"}, answer)
    return metadata


def test_keys_are_passed_on(mesh: FakeMesh, gateway: Gateway) -> None:
    """And with them who calls; without a key, none is sent."""
    metadata = seen(mesh)
    gateway.openai(api_key="sk-1").embeddings.create(model="m", input="a")
    gateway.post(PATH, BODY)
    assert metadata[0]["authorization"] == "Bearer sk-1"
    assert "authorization" not in metadata[1]
    assert metadata[0]["waypost-peer"].startswith("127.0.0.1:")


def test_a_key_of_another_form_is_refused(mesh: FakeMesh, gateway: Gateway) -> None:
    """Without asking anybody, and without repeating it."""
    status, error = gateway.refused(PATH, BODY, Authorization="Basic c2VjcmV0")
    assert (status, error["type"], mesh.requests) == (401, "authentication_error", [])
    assert "c2VjcmV0" not in error["message"]


def test_requests_have_a_name(mesh: FakeMesh, gateway: Gateway) -> None:
    """The client's own where it is one, else a new one; failures as well."""
    metadata = seen(mesh)
    assert gateway.post(PATH, BODY, X_Request_Id="mine-7").headers["x-request-id"] == "mine-7"
    fresh = gateway.post(PATH, BODY, X_Request_Id="x" * 65).headers["x-request-id"]
    assert [each["x-request-id"] for each in metadata] == ["mine-7", fresh]
    assert gateway.post(PATH, {}, X_Request_Id="mine-8").headers["x-request-id"] == "mine-8"


def test_deadlines_are_passed_on(mesh: FakeMesh, gateway: Gateway) -> None:
    """The request's own, or the configuration's."""
    metadata = seen(mesh)
    gateway.post(PATH, BODY, X_Waypost_Timeout_S="5.5")
    gateway.post(PATH, BODY)
    assert 4 < metadata[0]["remaining"] <= 5.5 < 50 < metadata[1]["remaining"] < 61


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Waypost-Timeout-S", "soon"),
        ("X-Waypost-Timeout-S", "-1"),
        ("X-Waypost-Timeout-S", "nan"),
        ("X-Waypost-Tier", "huge"),
        ("X-Waypost-Max-Cost-Usd", "-1"),
        ("X-Waypost-No-Cache", "perhaps"),
    ],
)
def test_headers_that_say_nothing(gateway: Gateway, header: str, value: str) -> None:
    """Are named."""
    status, error = gateway.refused(PATH, BODY, **{header: value})
    assert (status, error["param"]) == (400, header)
