"""Filters as plain data, in the manner of document databases.

    {"lang": "en"}                                       has this value, or it is in its list
    {"tag": ["a", "b"]}                                  has one of these
    {"year": {">=": 2020, "<": 2024}}                    a number within bounds
    {"author.name": {"exists": True}}                    is there; fields of objects by dots
    {"lang": {"!=": "en"}}, {"tag": {"not in": ["a"]}}   has it not, or is not there
    {"$or": [{…}, {…}]}, {"$and": [{…}]}, {"$not": {…}}  of filters

Several keys must all pass.  An empty dict is no filter at all: nothing is deleted by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.struct_pb2 import ListValue

from waypost import _fields as fields
from waypost._documents.metadata import number, scalar
from waypost.v1 import retrieve_pb2
from waypost.v1.retrieve_pb2 import FieldTest, Filter, FilterList, NumberRange

Given = Mapping[str, Any]

BOUNDS = {">": "above", ">=": "at_least", "<": "below", "<=": "at_most"}


def built(given: Given | None, path: str = "filter") -> retrieve_pb2.Filter | None:
    """The contract's filter; None where there is nothing to pass."""
    if given is None or given == {}:
        return None
    return _filter(path, given)


def _filter(path: str, given: object) -> Filter:
    if not isinstance(given, Mapping) or not given:
        raise fields.invalid(path, f'is {given!r}: it must be a dict such as {{"lang": "en"}}', given)
    return _all([_part(path, key, given[key]) for key in given])


def _all(parts: list[Filter]) -> Filter:
    return parts[0] if len(parts) == 1 else Filter(all=FilterList(filters=parts))


def _part(path: str, key: object, given: object) -> Filter:
    name = fields.text(f"{path} key", key)
    if not name.startswith("$"):
        return _field(f"{path}.{name}", name, given)
    if name not in OF_FILTERS:
        raise fields.invalid(f"{path}.{name}", f"is not known: there is {', '.join(OF_FILTERS)}", name)
    return OF_FILTERS[name](f"{path}.{name}", given)


def _list(path: str, given: object) -> FilterList:
    each = enumerate(fields.many(path, given, "filters"))
    return FilterList(filters=[_filter(f"{path}[{i}]", one) for i, one in each])


def _not(filter: Filter) -> Filter:
    return Filter(**{"not": filter})  # type: ignore[arg-type]  # the keyword is Python's own


OF_FILTERS: dict[str, Callable[[str, object], Filter]] = {
    "$and": lambda path, given: Filter(all=_list(path, given)),
    "$or": lambda path, given: Filter(any=_list(path, given)),
    "$not": lambda path, given: _not(_filter(path, given)),
}


def _field(path: str, name: str, given: object) -> Filter:
    if isinstance(given, Mapping):
        return _tests(path, name, given)
    if isinstance(given, (list, tuple, set, frozenset)):
        return _one_of(path, name, given)
    return _equals(path, name, given)


def _tests(path: str, name: str, given: Mapping[object, object]) -> Filter:
    """`{">=": 1, "<": 5}` is one range, whatever else there is beside it."""
    bounds = {key: value for key, value in given.items() if key in BOUNDS}
    others = [_test(path, name, key, value) for key, value in given.items() if key not in BOUNDS]
    if not given:
        raise fields.invalid(path, f"is {{}}: it must have one of {', '.join(_KNOWN)}", given)
    return _all(([_range(path, name, bounds)] if bounds else []) + others)


def _range(path: str, name: str, bounds: Mapping[Any, object]) -> Filter:
    said = {BOUNDS[key]: number(f"{path}.{key}", value) for key, value in bounds.items()}
    return Filter(field=FieldTest(field=name, range=NumberRange(**said)))


def _test(path: str, name: str, key: object, given: object) -> Filter:
    if key not in OF_FIELDS:
        raise fields.invalid(f"{path}.{key}", f"is not known: there is {', '.join(_KNOWN)}", key)
    return OF_FIELDS[str(key)](f"{path}.{key}", name, given)


def _equals(path: str, name: str, given: object) -> Filter:
    if given is None:
        raise fields.invalid(path, 'is None: what is not there is found by {"exists": False}')
    return Filter(field=FieldTest(field=name, equals=scalar(path, given)))


def _one_of(path: str, name: str, given: object) -> Filter:
    listed = sorted(given, key=repr) if isinstance(given, (set, frozenset)) else fields.many(path, given, "values")
    values = [scalar(f"{path}[{i}]", each) for i, each in enumerate(listed)]
    return Filter(field=FieldTest(field=name, one_of=ListValue(values=values)))


def _exists(path: str, name: str, given: object) -> Filter:
    return Filter(field=FieldTest(field=name, exists=fields.flag(path, given)))


OF_FIELDS: dict[str, Callable[[str, str, object], Filter]] = {
    "=": _equals,
    "!=": lambda path, name, given: _not(_equals(path, name, given)),
    "in": _one_of,
    "not in": lambda path, name, given: _not(_one_of(path, name, given)),
    "exists": _exists,
}

_KNOWN = (*BOUNDS, *OF_FIELDS)
