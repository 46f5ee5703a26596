"""The model card: what a model is for, costs, can do and cannot, each claim with whoever makes it.

A card is made of what the catalogue says, what was measured on this machine and, of what was trained here, the run log
(`describe`).  It never guesses: what nobody says stays None or empty, and `unknown` names it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, computed_field

from waypost.catalogue.lineage import Lineage
from waypost.catalogue.measurements import Memory
from waypost.catalogue.said import Claim, Price, Score, Section, Text

Role = Literal["student", "teacher"]
"""A student runs here; a teacher is asked elsewhere, and paid for."""


class Context(Section):
    """How much it reads; `tokens` None: there is no limit of its own."""

    tokens: Annotated[int, Field(ge=1)] | None
    says: Text


class Latency(Section):
    """How long calls take, in milliseconds."""

    task: Text
    texts: int
    words: int
    clients: int
    p50_ms: float
    p95_ms: float
    first_token_p50_ms: float | None
    source: Text


class Throughput(Section):
    """How much it does in a second."""

    task: Text
    words: int
    clients: int
    texts_per_s: float
    tokens_per_s: float | None
    source: Text


class MemoryUse(Section):
    """Resident bytes of a worker with this model alone, and the seconds until it serves."""

    used: Memory
    load_s: float
    empty_load_s: float
    source: Text


class Student(Section):
    """Of a model that runs here."""

    throughput: tuple[Throughput, ...]
    memory: MemoryUse | None
    quantisation: Claim | None


class Teacher(Section):
    """Of a model that is asked elsewhere."""

    pricing: Claim | None
    rate_limits: Claim | None
    alignment: Claim | None


class CardFile(Section):
    """A file of the model, as it must be."""

    name: Text
    bytes: int | None
    sha256: str | None


class Card(Section):
    """All that is known of a model; None and empty: not known."""

    format: Literal["waypost.card.v1"] = "waypost.card.v1"
    name: Text
    version: Text
    kind: Text
    role: Role
    summary: str
    provider: Claim | None
    license: Claim | None
    context: Context | None
    dimensions: Annotated[int, Field(ge=1)] | None
    labels: tuple[str, ...]
    modalities: Claim | None
    hardware: Claim | None
    safety: tuple[Claim, ...]
    latency: tuple[Latency, ...]
    cost: Price | None
    evals: tuple[Score, ...]
    limitations: tuple[Claim, ...]
    student: Student | None
    teacher: Teacher | None
    lineage: Lineage | None
    files: tuple[CardFile, ...]
    serve: str
    """What to write into a configuration to have it served; empty: nothing of Waypost runs it yet."""

    @computed_field(description="What nobody says of it")
    def unknown(self) -> tuple[str, ...]:
        """Names of the fields that a card should have and this one has not."""
        return tuple(_missing(self, FIELDS) + _missing(self.student, STUDENT) + _missing(self.teacher, TEACHER))


FIELDS = {
    "provider": "provider",
    "license": "licence",
    "context": "context length",
    "modalities": "modalities",
    "hardware": "hardware",
    "safety": "safety notes",
    "latency": "latency",
    "cost": "cost per 1K tokens",
    "evals": "evaluation scores",
    "limitations": "limitations",
}
STUDENT = {"throughput": "throughput", "memory": "memory", "quantisation": "quantisation"}
TEACHER = {"pricing": "pricing", "rate_limits": "rate limits", "alignment": "alignment"}


def schema() -> dict[str, Any]:
    """JSON Schema of a card as it is printed."""
    return Card.model_json_schema(mode="serialization")


def _missing(section: Section | None, names: dict[str, str]) -> list[str]:
    if section is None:
        return []
    return [told for name, told in names.items() if getattr(section, name) in (None, ())]
