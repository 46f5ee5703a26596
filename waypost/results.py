"""What calls return: frozen dataclasses, with vectors as numpy arrays.

Protobuf messages stay inside the client, so that results can be pickled, compared and read without knowing gRPC.
Durations are seconds; enum values are the lower-case words of the contract (`TIER_SIMPLE` is `"simple"`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ServedBy:
    """Which model answered, and where it runs."""

    model: str
    version: str
    instance: str


@dataclass(frozen=True)
class Timings:
    """Seconds spent in the worker; each figure is the longest of its kind over the call's texts."""

    queue: float
    tokenize: float
    inference: float
    total: float


@dataclass(frozen=True)
class TextUsage:
    """What one text came to."""

    tokens: int
    truncated: bool


@dataclass(frozen=True)
class Routing:
    """What the router says of a call: empty where a worker was called itself, or an older router.

    Attributes:
        request_id: for `feedback`, and for the decision log.
        model, instance: where the answer comes from.
        reason: why that model and why that instance, such as "tier/expected_completion".
        attempts: tries, over all models.
        hops: the models that were asked, where they were several.
        tier: how much model the request was given.
        cost_usd: what the call came to; None of models without a price.
        budget_remaining_usd: left this month, of the tighter limit; None where there is none, or nothing was spent.
        cache: "hit", "near" (kept for a prompt that means the same) or "miss"; empty where it may not be kept.
        guard: label and score of what the guard remarked.
        quality: how good the answer was found, 0 to 1; None where it was not judged.
        waited: seconds until an instance that was asleep was there; None where none was.
        policy: the document whose policy was applied; empty: none was near enough.
    """

    request_id: str = ""
    model: str = ""
    instance: str = ""
    reason: str = ""
    attempts: int = 0
    hops: tuple[str, ...] = ()
    tier: str = ""
    cost_usd: float | None = None
    budget_remaining_usd: float | None = None
    cache: str = ""
    guard: str = ""
    quality: float | None = None
    waited: float | None = None
    policy: str = ""


@dataclass(frozen=True)
class Routed:
    """What every reply carries that comes from a model."""

    served: ServedBy
    routing: Routing = field(default=Routing(), kw_only=True)


@dataclass(frozen=True)
class Timed(Routed):
    """What every reply of a model that ran carries."""

    timings: Timings


@dataclass(frozen=True, eq=False)
class Embeddings(Timed):
    """One unit vector per text: `vectors` is float32 [texts, dimensions], read-only (it is the reply's own memory)."""

    vectors: NDArray[np.float32]
    usage: tuple[TextUsage, ...]


@dataclass(frozen=True)
class TokenCounts(Routed):
    """Tokens per text, special tokens included."""

    tokens: tuple[int, ...]


@dataclass(frozen=True)
class LabelScore:
    """A label with its calibrated probability."""

    label: str
    score: float


@dataclass(frozen=True)
class Classification:
    """The labels of one text, best first.

    With `out_of_scope` the text is unlike what the head was trained on, and the labels are a guess.
    """

    labels: tuple[LabelScore, ...]
    out_of_scope: bool
    energy: float

    @property
    def label(self) -> str:
        """The best label; empty where every label was below the threshold."""
        return self.labels[0].label if self.labels else ""

    @property
    def score(self) -> float:
        """Score of the best label; 0 where every label was below the threshold."""
        return self.labels[0].score if self.labels else 0.0


@dataclass(frozen=True)
class Classifications(Timed):
    """One result per text, in order."""

    head: str
    results: tuple[Classification, ...]
    usage: tuple[TextUsage, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The best label of each text."""
        return tuple(result.label for result in self.results)


@dataclass(frozen=True)
class RankedDocument:
    """A document with its place in the request; scores compare within one reply only."""

    index: int
    score: float
    document: str


@dataclass(frozen=True)
class Ranking(Timed):
    """The documents, best first; `method` says how they were scored."""

    method: str
    ranking: tuple[RankedDocument, ...]
    usage: tuple[TextUsage, ...]


@dataclass(frozen=True)
class PromptTokens(Routed):
    """Tokens of a prompt as the model reads it, its chat template included."""

    tokens: int


@dataclass(frozen=True)
class GenerateUsage:
    """Tokens of one answer: of the prompt, `cached_tokens` were not computed again, `dropped_tokens` were cut off."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    dropped_tokens: int


@dataclass(frozen=True)
class ToolCall:
    """A function that the model asks the caller to run."""

    id: str
    name: str
    arguments_json: str

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments, parsed; they satisfy the tool's schema."""
        parsed: dict[str, Any] = json.loads(self.arguments_json)
        return parsed


@dataclass(frozen=True)
class TokenLogprob:
    """A token that was drawn, or might have been; `text` is its bytes, `top` the likeliest at its place."""

    token: int
    text: bytes
    logprob: float
    top: tuple[TokenLogprob, ...]


@dataclass(frozen=True)
class Generation(Timed):
    """A whole answer.

    Attributes:
        first_token: seconds from the arrival to the first token.
        per_token: seconds between one token and the next, on average; 0 below two tokens.
        tokens_per_second: of the answer, from the slot to the last token.
        from_template: no model wrote this.
        cost_usd: what a hosted model's tokens cost.
    """

    text: str
    finish_reason: str
    usage: GenerateUsage
    first_token: float
    per_token: float
    tokens_per_second: float
    logprobs: tuple[TokenLogprob, ...]
    tool_calls: tuple[ToolCall, ...]
    from_template: bool
    cost_usd: float

    @property
    def message(self) -> dict[str, Any]:
        """The answer as a message, to be appended to the conversation."""
        calls = {"tool_calls": self.tool_calls} if self.tool_calls else {}
        return {"role": "assistant", "content": self.text, **calls}


@dataclass(frozen=True)
class GenerationChunk:
    """The text since the chunk before; the last chunk alone carries `final`, the whole answer."""

    text: str
    final: Generation | None
    logprobs: tuple[TokenLogprob, ...]


@dataclass(frozen=True)
class HeadInfo:
    """A label set a model can classify with."""

    name: str
    labels: tuple[str, ...]
    experimental: bool


@dataclass(frozen=True)
class ModelInfo:
    """A model that can be asked for by name; an output price of 0 is the same as the other, 0 slots are no limit.

    One that is `unloaded` was taken out of service by an operator, one that is `pinned` cannot be; one that is `hot` is
    pinned, or called often of late at any router that shares its store.
    """

    name: str
    version: str
    backend: str
    tasks: tuple[str, ...]
    tags: tuple[str, ...]
    tier: str
    dimensions: int
    max_tokens: int
    heads: tuple[HeadInfo, ...]
    cost_per_1k_tokens_usd: float
    quality: float
    adapters: tuple[str, ...]
    cost_per_1k_output_tokens_usd: float
    slots: int
    default_max_tokens: int
    unloaded: bool = False
    pinned: bool = False
    hot: bool = False


@dataclass(frozen=True)
class InstanceInfo:
    """A worker as it describes itself: `queue_depth` texts and prompts wait or are worked on, of `queue_limit`."""

    instance: str
    version: str
    models: tuple[ModelInfo, ...]
    queue_depth: int
    queue_limit: int


@dataclass(frozen=True)
class InstanceStatus:
    """An instance as the router sees it; latencies in seconds.

    Attributes:
        breaker: "closed", "half_open" or "open": whether calls go there after failures in a row.
        ejections: times it was left out for failing or being too slow.
        drained: an operator took it out of the router's choice.
    """

    instance: str
    address: str
    state: str
    models: tuple[str, ...]
    tags: tuple[str, ...]
    in_flight: int
    requests: int
    failures: int
    latency_ewma: float
    latency_p95: float
    success_rate: float
    breaker: str = "closed"
    ejections: int = 0
    drained: bool = False
