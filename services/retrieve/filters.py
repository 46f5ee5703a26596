"""Filters over metadata: read from the contract once, checked, and handed to stores as these types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from google.protobuf.struct_pb2 import Value

from services.refusal import InvalidField
from waypost.v1 import retrieve_pb2

Scalar = str | float | bool
MAX_TESTS = 256
MAX_DEPTH = 8


@dataclass(frozen=True)
class All:
    """Every one passes; of none: everything does."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True)
class Any:
    """One passes at least; of none: nothing does."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True)
class Not:
    """It does not pass."""

    filter: Filter


@dataclass(frozen=True)
class OneOf:
    """A field has one of these values; of a list, one element has."""

    field: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Between:
    """A field is a number within these bounds; of a list, one element is."""

    field: str
    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None


@dataclass(frozen=True)
class Exists:
    """A field is there, or is not; null is as good as not there."""

    field: str
    there: bool


Filter = All | Any | Not | OneOf | Between | Exists


def read(filter: retrieve_pb2.Filter, field: str = "filter") -> Filter:
    """The filter of a request; `field` is its name in errors.

    Raises:
        InvalidField: it says nothing, or too much.
    """
    return _Reader().read(filter, field, 1)


class _Reader:
    def __init__(self) -> None:
        self._tests = 0

    def read(self, filter: retrieve_pb2.Filter, path: str, depth: int) -> Filter:
        self._tests += 1
        if depth > MAX_DEPTH or self._tests > MAX_TESTS:
            raise InvalidField(path, "nested too deep or too long", f"at most {MAX_TESTS} tests, {MAX_DEPTH} deep")
        match filter.WhichOneof("kind"):
            case "all":
                return All(self._each(filter.all.filters, f"{path}.all", depth))
            case "any":
                return Any(self._each(filter.any.filters, f"{path}.any", depth))
            case "not":
                return Not(self.read(getattr(filter, "not"), f"{path}.not", depth + 1))
            case "field":
                return _test(filter.field, f"{path}.field")
            case _:
                raise InvalidField(path, "empty", "one of all, any, not, field")

    def _each(self, filters: Sequence[retrieve_pb2.Filter], path: str, depth: int) -> tuple[Filter, ...]:
        return tuple(self.read(each, f"{path}[{index}]", depth + 1) for index, each in enumerate(filters))


def _test(test: retrieve_pb2.FieldTest, path: str) -> Filter:
    if not test.field:
        raise InvalidField(f"{path}.field", "empty", "the name of a field of the metadata")
    match test.WhichOneof("test"):
        case "equals":
            return OneOf(test.field, (_scalar(test.equals, f"{path}.equals"),))
        case "one_of":
            values = enumerate(test.one_of.values)
            return OneOf(test.field, tuple(_scalar(each, f"{path}.one_of[{index}]") for index, each in values))
        case "range":
            return _between(test.field, test.range, f"{path}.range")
        case "exists":
            return Exists(test.field, test.exists)
        case _:
            raise InvalidField(path, "empty", "one of equals, one_of, range, exists")


def _scalar(value: Value, path: str) -> Scalar:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value" if isfinite(value.number_value):
            return value.number_value
        case "bool_value":
            return value.bool_value
        case kind:
            raise InvalidField(path, str(kind), "a string, a finite number or a truth value")


def _between(field: str, bounds: retrieve_pb2.NumberRange, path: str) -> Between:
    said = {name: getattr(bounds, name) for name in ("above", "at_least", "below", "at_most") if bounds.HasField(name)}
    if not said:
        raise InvalidField(path, "empty", "at least one bound")
    for name, bound in said.items():
        if not isfinite(bound):
            raise InvalidField(f"{path}.{name}", str(bound), "a finite number")
    return Between(field, **said)


def as_json(filter: Filter) -> object:
    """As `_core.Documents` reads it: `{"all": […]}`, `{"one_of": {"field": …, "values": […]}}`, …"""
    match filter:
        case All(filters):
            return {"all": [as_json(each) for each in filters]}
        case Any(filters):
            return {"any": [as_json(each) for each in filters]}
        case Not(inner):
            return {"not": as_json(inner)}
        case OneOf(field, values):
            return {"one_of": {"field": field, "values": list(values)}}
        case Between(field, above, at_least, below, at_most):
            bounds = {"above": above, "at_least": at_least, "below": below, "at_most": at_most}
            return {"between": {"field": field} | {name: each for name, each in bounds.items() if each is not None}}
        case Exists(field, there):
            return {"exists": {"field": field, "there": there}}
