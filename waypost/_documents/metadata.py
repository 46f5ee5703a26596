"""Metadata as `google.protobuf.Struct` and back, a field that does not fit named by its path.

Numbers are doubles there.  A whole number that a double cannot say is refused, not rounded without a word: identifiers
of other systems are such numbers, and are to be sent as text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct, Value

from waypost import _fields as fields

EXACT = 2**53
"""Up to here a double says every whole number."""


def struct(field: str, value: object) -> Struct:
    """A dict with text keys."""
    if not isinstance(value, Mapping):
        raise fields.invalid(field, f"is {value!r}: it must be a dict", value)
    return Struct(fields={fields.text(f"{field} key", key): _value(f"{field}.{key}", value[key]) for key in value})


def scalar(field: str, value: object) -> Value:
    """Text, a number or a truth value."""
    if isinstance(value, str):
        return Value(string_value=fields.text(field, value))
    if isinstance(value, bool):
        return Value(bool_value=value)
    return Value(number_value=number(field, value))


def number(field: str, value: object) -> float:
    """A number that a double says exactly, or had better be one from the beginning."""
    if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
        raise fields.invalid(field, f"is {value!r}: it must be text, a finite number, True or False", value)
    if isinstance(value, Integral) and abs(int(value)) > EXACT:
        raise fields.invalid(field, f"is {value}: a number above 2**53 loses digits, send it as text", value)
    return float(value)


def plain(value: Struct) -> dict[str, Any]:
    """A dict, with whole numbers as `int`."""
    return {name: _plain(each) for name, each in value.fields.items()}


def _value(field: str, value: object) -> Value:
    if value is None:
        return Value(null_value=NULL_VALUE)
    if isinstance(value, Mapping):
        return Value(struct_value=struct(field, value))
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return Value(list_value=ListValue(values=[_value(f"{field}[{i}]", each) for i, each in enumerate(value)]))
    return scalar(field, value)


def _plain(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return plain(value.struct_value)
        case "list_value":
            return [_plain(each) for each in value.list_value.values]
        case "number_value":
            return _number(value.number_value)
        case "string_value" | "bool_value" as kind:
            return getattr(value, kind)
        case _:
            return None


def _number(value: float) -> float:
    return int(value) if abs(value) <= EXACT and value.is_integer() else value
