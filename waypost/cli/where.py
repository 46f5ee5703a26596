"""Conditions on metadata as words of a command line: `--where lang=en --where 'year>=2020'`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

HELP = (
    'Only documents whose metadata pass, such as "lang=en", "year>=2020", "lang!=en", "lang" (is there), "!lang" '
    '(is not); or a filter as JSON: \'{"tag": ["a", "b"]}\'. May be repeated: all must pass.'
)
Where = Annotated[list[str] | None, typer.Option("--where", "-w", help=HELP)]

_CONDITION = re.compile(r"(?P<field>[^=!<>]+)(?P<sign>!=|>=|<=|=|>|<)(?P<value>.*)", re.DOTALL)


def filter_of(conditions: Sequence[str] | None) -> dict[str, Any] | None:
    """The client's filter; None where nothing is asked.

    Raises:
        typer.BadParameter: a condition says nothing.
    """
    made = [_condition(each) for each in conditions or ()]
    return made[0] if len(made) == 1 else {"$and": made} if made else None


def value(text: str) -> Any:
    """What a cell or a condition says: a number or truth value as such, text in quotes or as it is."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, (int, float, str)) and str(found) not in _NO_JSON else text


_NO_JSON = {"nan", "inf", "-inf"}
"""What Python's reader takes for numbers, and nobody else."""


def _condition(text: str) -> dict[str, Any]:
    if text.lstrip().startswith("{"):
        return _json(text)
    if found := _CONDITION.fullmatch(text):
        return {found["field"].strip(): _test(found["sign"], value(found["value"].strip()))}
    field = text.removeprefix("!").strip()
    if not field or re.search("[=!<>]", field):
        raise typer.BadParameter(f"{text!r} is no condition: write such as lang=en, year>=2020, lang or !lang")
    return {field: {"exists": not text.startswith("!")}}


def _test(sign: str, than: Any) -> Any:
    return than if sign == "=" else {sign: than}


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no JSON: {error}") from None
    if not isinstance(found, Mapping) or not found:
        raise typer.BadParameter(f"{text!r} says nothing")
    return dict(found)
