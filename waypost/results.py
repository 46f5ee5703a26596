"""What calls return: frozen dataclasses, with vectors as numpy arrays.

Protobuf messages stay inside the client, so that results can be pickled, compared and read without knowing gRPC.
Durations are seconds; enum values are the lower-case words of the contract (`TIER_SIMPLE` is `"simple"`).
"""

from __future__ import annotations

from dataclasses import dataclass

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
class _Reply:
    """What every reply of a model carries."""

    served: ServedBy
    timings: Timings


@dataclass(frozen=True, eq=False)
class Embeddings(_Reply):
    """One unit vector per text: `vectors` is float32 [texts, dimensions], read-only (it is the reply's own memory)."""

    vectors: NDArray[np.float32]
    usage: tuple[TextUsage, ...]


@dataclass(frozen=True)
class TokenCounts:
    """Tokens per text, special tokens included."""

    served: ServedBy
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
class Classifications(_Reply):
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
class Ranking(_Reply):
    """The documents, best first; `method` says how they were scored."""

    method: str
    ranking: tuple[RankedDocument, ...]
    usage: tuple[TextUsage, ...]


@dataclass(frozen=True)
class GenerateUsage:
    """Tokens of one answer."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Generation(_Reply):
    """A whole answer; `first_token` is seconds until its first token."""

    text: str
    finish_reason: str
    usage: GenerateUsage
    first_token: float


@dataclass(frozen=True)
class GenerationChunk:
    """The text since the chunk before; the last chunk alone carries `final`."""

    text: str
    final: Generation | None


@dataclass(frozen=True)
class HeadInfo:
    """A label set a model can classify with."""

    name: str
    labels: tuple[str, ...]
    experimental: bool


@dataclass(frozen=True)
class ModelInfo:
    """A model that can be asked for by name."""

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


@dataclass(frozen=True)
class InstanceStatus:
    """An instance as the router sees it; latencies in seconds."""

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
