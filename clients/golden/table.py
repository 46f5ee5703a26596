"""The golden table: its cases, what a mesh answers to one, and whether that is what the table says.

Knows the contract only by its descriptors, so that a new call needs a line in `vectors.json` and nothing here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from waypost._calls import CONTRACT
from waypost.errors import from_rpc

PATH = Path(__file__).parent / "vectors.json"
TIMEOUT_S = 20.0
FLOAT_TOLERANCE = 1e-5
VOLATILE = {"timings", "firstToken", "perToken", "tokensPerSecond", "diskBytes", "memoryBytes", "unindexed", "bm25"}
"""Fields that are otherwise at every call; BM25 also counts documents that were removed and not yet tidied away."""
ZEROS: tuple[Any, ...] = (0, "", "0", [], {})
"""As JSON has them; whole numbers of 64 bits are text there."""
KEPT = {"index"}
"""Fields that are written though they are 0."""
METHODS = {
    f"/{method.containing_service.full_name}/{method.name}": method
    for file in CONTRACT
    for service in file.services_by_name.values()
    for method in service.methods
}

Case = dict[str, Any]
EXPECTATIONS = ("response", "responses", "text", "finish_reason", "error")


def cases() -> list[Case]:
    """The committed table."""
    return json.loads(PATH.read_text())


def expected(case: Case) -> dict[str, Any]:
    """What the table says of a case."""
    return {key: case[key] for key in EXPECTATIONS if key in case}


def matches(wanted: Any, got: Any) -> bool:
    """Whether an answer has all that is wanted; what it has besides does not count."""
    if isinstance(wanted, dict):
        return isinstance(got, dict) and all(matches(value, got.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(got, list) and len(got) == len(wanted) and all(map(matches, wanted, got))
    if isinstance(wanted, float):
        return isinstance(got, int | float) and abs(wanted - got) <= FLOAT_TOLERANCE
    return bool(wanted == got)


@dataclass(frozen=True)
class Asker:
    """Asks a mesh through plain gRPC."""

    channel: grpc.Channel

    def ask(self, case: Case) -> dict[str, Any]:
        """The answer, in the shape of the table's expectations."""
        method = METHODS[case["rpc"]]
        try:
            answers = self._answers(method, case)
        except grpc.RpcError as error:
            return {"error": _failure(error)}
        if method.client_streaming:
            return {"responses": answers}
        return _gathered(answers) if method.server_streaming else {"response": answers[0]}

    def _answers(self, method: MethodDescriptor, case: Case) -> list[Any]:
        kind = GetMessageClass(method.input_type)
        requests = [json_format.ParseDict(each, kind()) for each in case.get("requests") or [case["request"]]]
        arity = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
        stub = getattr(self.channel, arity)(
            case["rpc"], kind.SerializeToString, GetMessageClass(method.output_type).FromString
        )
        sent = iter(requests) if method.client_streaming else requests[0]
        answer = stub(sent, timeout=case.get("timeout_ms", TIMEOUT_S * 1000) / 1000)
        return [_json(each) for each in (answer if method.server_streaming else [answer])]


def _json(message: Message) -> Any:
    return _trimmed(json_format.MessageToDict(message, always_print_fields_with_no_presence=True))


def _trimmed(value: Any) -> Any:
    """Without zeros, and without what is otherwise at every call."""
    if isinstance(value, list):
        return [_trimmed(each) for each in value]
    if not isinstance(value, dict):
        return value
    left_out = VOLATILE | ({"score"} if value.get("score", 0) == value.get("bm25") else set())
    return {
        key: _trimmed(each)
        for key, each in value.items()
        if key in KEPT or (each not in ZEROS and key not in left_out and not str(each).endswith("_UNSPECIFIED"))
    }


def _gathered(pieces: list[Any]) -> dict[str, Any]:
    text = "".join(piece.get("text", "") for piece in pieces)
    return {"text": text, "finish_reason": pieces[-1]["final"]["finishReason"]}


def _failure(call: Any) -> dict[str, Any]:
    """Code and, where Waypost itself says so, why; a deadline's details depend on which side saw it pass first."""
    error = from_rpc(call)
    failure = {"code": error.code.name, "has_retry_info": error.retry_after is not None}
    if error.code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return failure
    told = {"reason": error.reason, "field": error.field, "metadata": error.metadata}
    return failure | {key: value for key, value in told.items() if value}
