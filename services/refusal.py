"""Why a backend does not answer a request: what it raises, and what the worker makes a status of.

Each class is a cause of the one table in `rust_core/plane/src/error.rs`; the message is made there.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import ClassVar


@dataclass
class Refused(Exception):
    """A request cannot be answered; the subclasses say why."""

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        super().__init__(self.as_json())

    def as_json(self) -> str:
        """As `_core.Job.fail` reads it."""
        return json.dumps({"kind": self.kind} | dataclasses.asdict(self))


@dataclass
class InvalidField(Refused):
    """A field has a value it cannot have; `expected` continues "it must be …"."""

    kind = "invalid_field"
    field: str
    actual: str
    expected: str


@dataclass
class TextTooLong(Refused):
    """A prompt has more tokens than the model reads."""

    kind = "text_too_long"
    field: str
    limit: int
    actual: int


@dataclass
class AdapterNotFound(Refused):
    """The model has no LoRA adapter of this name."""

    kind = "adapter_not_found"
    adapter: str
    known: str


@dataclass
class NotCapable(Refused):
    """This model cannot do what was asked, another may."""

    kind = "not_capable"
    why: str


@dataclass
class RateLimited(Refused):
    """The provider of a hosted model, or our own limit for it, says later."""

    kind = "rate_limited"
    retry_after_s: float


@dataclass
class ProviderFailed(Refused):
    """The provider of a hosted model does not answer, or answers garbage."""

    kind = "provider_failed"
    why: str
    retry_after_s: float = 1.0
    unbilled: bool = False
    """Nothing of it can be on the provider's bill."""


@dataclass
class ModelFailed(Refused):
    """The model failed on this request."""

    kind = "model_failed"
    why: str
    unbilled: bool = False
    """Of a hosted model: nothing of it can be on the provider's bill."""


@dataclass
class NamespaceNotFound(Refused):
    """The tenant has no namespace of this name."""

    kind = "namespace_not_found"
    namespace: str


@dataclass
class StoreFull(Refused):
    """The documents' store may take no more than `limit` bytes."""

    kind = "store_full"
    limit: int


@dataclass
class StoreUnreachable(Refused):
    """The documents' database does not answer."""

    kind = "store_unreachable"
    why: str


@dataclass
class DeadlinePassed(Refused):
    """The caller's time is over."""

    kind = "deadline"
