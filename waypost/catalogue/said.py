"""What is said of a model beside the facts it is loaded by: each claim with whoever makes it.

The table `[models.card]` of an entry.  A claim written as a plain text is one of the table's `source`; what nobody is
known to say is left out, and the card prints that it is not known.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Text = Annotated[str, Field(min_length=1)]
Figure = Annotated[float, Field(allow_inf_nan=False)]
Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Section(BaseModel):
    """Part of a card: nothing misspelt, nothing changed later."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Claim(Section):
    """Something said of a model, and by whom: an address, or what of Waypost."""

    says: Text
    source: Text


class Score(Section):
    """A figure of an evaluation, with its 95 % interval where there is one."""

    name: Text
    on: Text
    value: Figure
    low: Figure | None = None
    high: Figure | None = None
    rows: Annotated[int, Field(ge=0)] | None = None
    form: str = ""
    """Of the model, where several were measured, such as int8."""
    source: str = ""


class Price(Section):
    """US dollars per 1,000 tokens, as they were at that time: look at the source before you rely on it."""

    input_usd_per_1k: Usd
    output_usd_per_1k: Usd
    as_of: date | None = None
    source: str = ""


class Said(Section):
    """The table of an entry."""

    source: str = ""
    """Who says what has no source of its own."""
    modalities: Text | Claim | None = None
    hardware: Text | Claim | None = None
    quantisation: Text | Claim | None = None
    safety: tuple[Text | Claim, ...] = ()
    limitations: tuple[Text | Claim, ...] = ()
    evals: tuple[Score, ...] = ()
    price: Price | None = None
    pricing: Text | Claim | None = None
    """Terms beside the price: batches, cached tokens."""
    rate_limits: Text | Claim | None = None
    alignment: Text | Claim | None = None

    @model_validator(mode="after")
    def _has_sources(self) -> Self:
        bare = [name for name, value in self if isinstance(value, str) and name != "source"]
        bare += [
            name for name in ("safety", "limitations") if any(isinstance(each, str) for each in getattr(self, name))
        ]
        bare += ["evals"] * any(not each.source for each in self.evals)
        bare += ["price"] * (self.price is not None and not self.price.source)
        if bare and not self.source:
            raise ValueError(f"{', '.join(bare)}: who says so? write `source`")
        return self

    def claim(self, said: str | Claim | None) -> Claim | None:
        """With its source."""
        return Claim(says=said, source=self.source) if isinstance(said, str) else said

    def claims(self, said: tuple[str | Claim, ...]) -> tuple[Claim, ...]:
        """With their sources."""
        return tuple(Claim(says=each, source=self.source) if isinstance(each, str) else each for each in said)

    @property
    def scores(self) -> tuple[Score, ...]:
        """With their sources."""
        return tuple(each if each.source else each.model_copy(update={"source": self.source}) for each in self.evals)

    @property
    def priced(self) -> Price | None:
        """With its source."""
        if self.price is None or self.price.source:
            return self.price
        return self.price.model_copy(update={"source": self.source})
