"""What a backend gives the worker: sessions to run, and the facts and files that the Rust side serves them with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from waypost._core import Desk, Inbox
from waypost.config import Batching, Model

Kind = Literal["encoder", "hash", "sequence_classifier", "cross_encoder"]
Integers = NDArray[np.int64]
Run = Callable[[Integers, Integers, Integers], NDArray[np.float32]]
"""`run(input_ids, attention_mask, token_type_ids)`, each `[n, tokens]`: float32 `[n, d]`.

Called from one thread per session at a time; the same `Run` may stand for several sessions where it is thread-safe.
"""


class ModelUnusable(Exception):
    """A model's files are broken or do not fit together; the message names the file and says what to do."""


@dataclass(frozen=True)
class Loaded:
    """A model, ready to be served.

    Attributes:
        runners: one per session; none where Rust computes by itself.
        tokenizer: `tokenizer.json`.
        labels: of a sequence classifier, in the order of its logits.
        heads: label sets over the vectors: file by name.
        document_frequencies: background table of BM25.
        batching: the configured plan, or the one measured best where the configuration leaves it open.
    """

    kind: Kind
    version: str
    dimensions: int
    max_tokens: int = 0
    runners: Sequence[Run] = ()
    tokenizer: Path | None = None
    labels: Sequence[str] = ()
    heads: Mapping[str, Path] = field(default_factory=dict)
    document_frequencies: Path | None = None
    tags: Sequence[str] = ()
    batching: Batching = field(default_factory=Batching)


@dataclass(frozen=True)
class Generator:
    """A generating model, ready to be served.

    Attributes:
        context: tokens of prompt and answer together; 0: not known.
        slots: requests it works on at once.
        answer: takes jobs until the inbox is closed, in a thread of its own; what it raises ends the process.
        adapters: names that requests may use.
    """

    version: str
    context: int
    slots: int
    answer: Callable[[Inbox], None]
    tags: Sequence[str] = ()
    adapters: Sequence[str] = ()


@dataclass(frozen=True)
class Library:
    """A store of documents, ready to be served.

    Attributes:
        answer: takes errands until the desk is closed, in a thread of its own; what it raises ends the process.
        encoder: model of the same worker that makes its vectors.
        reranker: model of the same worker that reads the best again.
    """

    version: str
    answer: Callable[[Desk], None]
    encoder: str | None
    reranker: str | None
    tags: Sequence[str] = ()


class Backend(Protocol):
    """Loads a model for so many sessions (cores)."""

    def __call__(self, model: Model, sessions: int) -> Loaded | Generator | Library:
        """Everything is read and checked here, before the worker listens.

        Raises:
            ModelUnusable: a file is broken, or does not fit the others.
            waypost.catalogue.CatalogueError: the model is not here.
        """
