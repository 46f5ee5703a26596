"""POST /v1/completions against a fake mesh."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fake_mesh import FakeMesh, streaming
from tests.gateway import Gateway
from waypost.v1 import common_pb2, generate_pb2

PATH = "/v1/completions"
TOKENS = [
    generate_pb2.TokenLogprob(text=b"on", logprob=-0.5, top=[generate_pb2.TokenLogprob(text=b"off", logprob=-1.5)]),
    generate_pb2.TokenLogprob(text=b"ward", logprob=-0.25),
]


@pytest.fixture(autouse=True)
def answer(mesh: FakeMesh) -> None:
    """ "onward", whole or in two pieces."""
    whole = generate_pb2.GenerateResponse(
        text="onward",
        finish_reason=generate_pb2.FINISH_REASON_LENGTH,
        served=common_pb2.ServedBy(model="smollm2", version="v1"),
        usage=generate_pb2.GenerateUsage(prompt_tokens=3, completion_tokens=2),
        logprobs=TOKENS,
    )
    mesh.answers["Generate"] = lambda request, context: whole
    mesh.answers["GenerateStream"] = streaming("on", "ward", served=whole.served, usage=whole.usage)


def test_a_text_goes_on(mesh: FakeMesh, gateway: Gateway) -> None:
    """From the raw prompt, with log probabilities in the old form."""
    found = gateway.openai().completions.create(model="m", prompt="go", max_tokens=2, logprobs=1)
    (choice,) = found.choices
    assert (found.model, choice.text, choice.finish_reason) == ("smollm2", "onward", "length")
    assert found.usage
    assert found.usage.total_tokens == 5
    assert choice.logprobs
    assert (choice.logprobs.tokens, choice.logprobs.token_logprobs) == (["on", "ward"], [-0.5, -0.25])
    assert (choice.logprobs.top_logprobs, choice.logprobs.text_offset) == ([{"off": -1.5}, {}], [0, 2])
    assert (mesh.requests[0].raw, mesh.requests[0].max_tokens, mesh.requests[0].top_logprobs) == ("go", 2, 1)


def test_a_stream_of_text(gateway: Gateway) -> None:
    """Pieces, the reason, the usage where it was asked for."""
    body = {"prompt": "go", "stream_options": {"include_usage": True}}
    *events, last = gateway.events(PATH, body)
    assert last == "[DONE]"
    pieces = [(choice["text"], choice["finish_reason"]) for each in events for choice in each["choices"]]
    assert pieces == [("on", None), ("ward", None), ("", "stop")]
    assert events[-1]["usage"]["total_tokens"] == 5


def test_the_last_piece_may_bring_text(mesh: FakeMesh, gateway: Gateway) -> None:
    """Which is sent before the end."""
    last = generate_pb2.GenerateStreamResponse(text="all", final=generate_pb2.GenerateResponse())
    mesh.answers["GenerateStream"] = lambda *_: iter([last])
    texts = [each["choices"][0]["text"] for each in gateway.events(PATH, {"prompt": "go"})[:-1]]
    assert texts == ["all", ""]


@pytest.mark.parametrize(
    ("fields", "param"), [({"prompt": ["a", "b"]}, "prompt"), ({"prompt": [1]}, "prompt[0]"), ({"echo": True}, "echo")]
)
def test_what_is_not_offered_is_refused(gateway: Gateway, fields: dict[str, Any], param: str) -> None:
    """Several prompts, tokens, echo."""
    status, error = gateway.refused(PATH, {"prompt": "go"} | fields)
    assert (status, error["param"]) == (400, param)
