"""A card as Markdown, by the template `card.md.j2`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Protocol

from jinja2 import Environment, StrictUndefined, Template

from waypost.catalogue.cards import Card
from waypost.catalogue.said import Claim, Price

UNKNOWN = "not known"


class _Sourced(Protocol):
    @property
    def source(self) -> str: ...


def markdown(card: Card) -> str:
    """The card for people."""
    return _template().render(card=card)


@cache
def _template() -> Template:
    made = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    made.filters["cell"] = _cell
    told = (_claim, _claims, _price, _sources, _texts, _ms, _mib, _rate, _measure)
    made.globals.update({each.__name__.strip("_"): each for each in told}, UNKNOWN=UNKNOWN)
    return made.from_string((files(__package__) / "card.md.j2").read_text())


def _cell(text: str) -> str:
    """What a table may have in a cell."""
    return " ".join(text.split()).replace("|", "\\|")


def _claim(claim: Claim | None) -> str:
    return _cell(f"{claim.says} ({claim.source})") if claim else UNKNOWN


def _claims(claims: Iterable[Claim]) -> str:
    return "\n".join(f"- {each.says} ({each.source})" for each in claims) or f"{UNKNOWN.capitalize()}."


def _price(price: Price | None) -> str:
    if price is None:
        return UNKNOWN
    when = f", as of {price.as_of}" if price.as_of else ""
    told = f"{price.input_usd_per_1k:.6g} USD read, {price.output_usd_per_1k:.6g} USD written{when}"
    return _cell(f"{told} ({price.source})")


def _sources(claims: Iterable[_Sourced]) -> str:
    """Each once, in their order."""
    return "\n".join(f"- {each}" for each in dict.fromkeys(claim.source for claim in claims))


def _measure(card: Card) -> str:
    """The command that would tell; a teacher is measured in a mesh that serves it, as each call is paid for."""
    if card.role == "teacher":
        return f"waypost bench --task generate --model {card.name}"
    if card.lineage is None:
        return f"waypost models measure {card.name}"
    parent = card.lineage.parent
    return f"waypost models measure {parent.name if parent else 'hash'} --head {card.name}"


def _texts(count: int) -> str:
    return f", {count} texts" if count > 1 else ""


def _ms(value: float) -> str:
    return f"{value:.2f} ms" if value < 100 else f"{value:.0f} ms"


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"
