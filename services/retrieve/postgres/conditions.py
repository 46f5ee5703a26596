"""Filters as conditions of SQL, over paths of SQL/JSON.

In its lax mode a path looks into the elements of a list by itself: one that passes is enough.  In its strict mode a
list is a value of its own, which is there even if it is empty.  Comparing values of different kinds is false, and what
is not there has no path, or an error of which `@?` makes null.
"""

from __future__ import annotations

import json

from services.retrieve import filters
from services.retrieve.filters import All, Between, Exists, Filter, Not, OneOf, Scalar

Parameters = dict[str, object]


def condition(filter: Filter | None) -> tuple[str, Parameters]:
    """A condition over the column `metadata`, and its parameters."""
    parameters: Parameters = {}
    return "true" if filter is None else _said(filter, parameters), parameters


def _said(filter: Filter, parameters: Parameters) -> str:
    match filter:
        case All(inner):
            return _joined([_said(each, parameters) for each in inner], "AND", "true")
        case filters.Any(inner):
            return _joined([_said(each, parameters) for each in inner], "OR", "false")
        case Not(inner):
            return f"(({_said(inner, parameters)}) IS NOT TRUE)"
        case Exists(field, there):
            exists = _has(field, "@ != null", parameters, "strict")
            return exists if there else f"({exists} IS NOT TRUE)"
        case OneOf(field, values):
            return _has(
                field, " || ".join(f"@ == {_literal(value)}" for value in values if _storable(value)), parameters
            )
        case Between(field):
            return _has(field, " && ".join(_bounds(filter)), parameters)


def _joined(said: list[str], by: str, of_none: str) -> str:
    return f"({f' {by} '.join(said)})" if said else of_none


def _has(field: str, predicate: str, parameters: Parameters, mode: str = "lax") -> str:
    if not predicate or not _storable(field):
        return "false"
    steps = "".join(f".{_literal(step)}" for step in field.split("."))
    name = f"path_{len(parameters)}"
    parameters[name] = f"{mode} ${steps} ? ({predicate})"
    return f"(metadata @? CAST(:{name} AS jsonpath))"


def _bounds(bounds: Between) -> list[str]:
    said = {">": bounds.above, ">=": bounds.at_least, "<": bounds.below, "<=": bounds.at_most}
    return [f"@ {operator} {_literal(bound)}" for operator, bound in said.items() if bound is not None]


def _literal(value: Scalar) -> str:
    """As a path has it, which is as JSON has it."""
    return json.dumps(value)


def _storable(value: Scalar) -> bool:
    """No document has a NUL character, and no path may."""
    return not isinstance(value, str) or "\0" not in value
