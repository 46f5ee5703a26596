"""How an answer ended and what it took, in OpenAI's words."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from waypost.v1 import generate_pb2

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]

FINISH: dict[int, FinishReason] = {
    generate_pb2.FINISH_REASON_STOP: "stop",
    generate_pb2.FINISH_REASON_LENGTH: "length",
    generate_pb2.FINISH_REASON_TOOL_CALLS: "tool_calls",
    generate_pb2.FINISH_REASON_CANCELLED: "length",
    generate_pb2.FINISH_REASON_FILTERED: "content_filter",
}
"""An answer that was cancelled on the way is one that was cut."""


class PromptDetails(TypedDict):
    """Of the prompt's tokens, those that were still known from an earlier prompt."""

    cached_tokens: int


class Usage(TypedDict):
    """Tokens of prompt and answer."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails


def usage(of: generate_pb2.GenerateUsage) -> Usage:
    """The usage of an answer."""
    return {
        "prompt_tokens": of.prompt_tokens,
        "completion_tokens": of.completion_tokens,
        "total_tokens": of.prompt_tokens + of.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": of.cached_tokens},
    }
