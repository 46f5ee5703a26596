"""Tokens and dollars of an answer.

Where a provider reports no usage, tokens are estimated at four bytes each, which is near for English and low for most
other languages; a request then costs what the estimate says.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.openai_wire.gather import Gathered
from waypost.config import Model
from waypost.v1.generate_pb2 import GenerateRequest

BYTES_A_TOKEN = 4


@dataclass(frozen=True)
class Spent:
    """Tokens of a prompt and its answer."""

    prompt: int
    cached: int
    completion: int

    @classmethod
    def on(cls, request: GenerateRequest, gathered: Gathered) -> Spent:
        """As the provider reported, or estimated."""
        if usage := gathered.usage:
            return cls(usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)
        written = gathered.text + "".join(call.arguments_json for call in gathered.calls)
        return cls(estimated_prompt(request), 0, estimated(written))

    @property
    def total(self) -> int:
        """What a provider's rate limit counts."""
        return self.prompt + self.completion

    def cost_usd(self, model: Model) -> float:
        """At the configured prices; cached tokens at the price of any others."""
        answer = model.cost_per_1k_output_tokens_usd
        each = model.cost_per_1k_tokens_usd if answer is None else answer
        return (self.prompt * model.cost_per_1k_tokens_usd + self.completion * each) / 1000


def estimated(text: str) -> int:
    """Tokens of a text, about."""
    return -(-len(text.encode()) // BYTES_A_TOKEN)


def estimated_prompt(request: GenerateRequest) -> int:
    """Tokens of a request's messages, or of its raw prompt, about."""
    return estimated(request.raw) + sum(estimated(each.content) for each in request.chat.messages)
