"""A streamed chunk, as far as we read it: validated, so that garbage is known as such where it arrives.

    chunk = Chunk.model_validate(data)     # ValueError: not a chunk

Providers send `null` for what they have not, and fields of their own, which are ignored: among them the
`reasoning_content` of models that think aloud, whose tokens the usage counts but nobody is shown.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, Field

T = TypeVar("T")


def _or_nothing(value: Any) -> Any:
    return [] if value is None else value


def _or_zero(value: Any) -> Any:
    return 0 if value is None else value


Text = str | None
Count = Annotated[int, Field(ge=0, le=2**32 - 1), BeforeValidator(_or_zero)]
Maybe = Annotated[list[T], BeforeValidator(_or_nothing)]


class FunctionDelta(BaseModel):
    """Name and arguments come in pieces."""

    name: Text = None
    arguments: Text = None


class CallDelta(BaseModel):
    """A piece of the call at `index`."""

    index: int = 0
    id: Text = None
    function: FunctionDelta = FunctionDelta()


class Delta(BaseModel):
    """What is new of a chat's answer; a refusal is text in place of the structured answer."""

    content: Text = None
    refusal: Text = None
    tool_calls: Maybe[CallDelta] = []


class Choice(BaseModel):
    """`delta` of a chat, `text` of a raw prompt."""

    delta: Delta | None = None
    text: Text = None
    finish_reason: Text = None


class Cached(BaseModel):
    """Where OpenAI, vLLM and llama-server say what was cached."""

    cached_tokens: Count = 0


class Usage(BaseModel):
    """Tokens as the provider counts them; `prompt_cache_hit_tokens` is DeepSeek's."""

    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    prompt_tokens_details: Cached | None = None
    prompt_cache_hit_tokens: Count = 0

    @property
    def cached_tokens(self) -> int:
        """Of the prompt's tokens, those that were known."""
        details = self.prompt_tokens_details
        return self.prompt_cache_hit_tokens or (details.cached_tokens if details else 0)


class Chunk(BaseModel):
    """One event of the stream; the one with the usage has no choices."""

    choices: Maybe[Choice] = []
    usage: Usage | None = None
