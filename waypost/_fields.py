"""Plain Python values as fields of the contract, or `InvalidRequest` with the path of the field.

Limits are the server's to judge.  Checked here is what protobuf would answer with a bare `TypeError`, or take for
something else: a `str` where a list of texts is meant is a list of characters to it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from waypost.errors import Code, InvalidRequest

M = TypeVar("M", bound=Message)

_UINT32 = 2**32 - 1
UINT64 = 2**64 - 1


def invalid(field: str, message: str, actual: object = "") -> InvalidRequest:
    """What the server says of a bad field, said before the call is sent."""
    return InvalidRequest(
        f"{field} {message}",
        code=Code.INVALID_ARGUMENT,
        reason="ERROR_REASON_INVALID_FIELD",
        field=field,
        metadata={"field": field, "actual": str(actual)},
    )


def many(field: str, values: object, what: str) -> Sequence[Any]:
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Sequence):
        kind = type(values).__name__
        raise invalid(field, f"is one {kind} where a list of {what} is expected: wrap a single one in a list", kind)
    return values


def texts(field: str, values: object) -> list[str]:
    given = many(field, values, "str")
    return [each if _plain(each) else text(f"{field}[{i}]", each) for i, each in enumerate(given)]


def _plain(value: object) -> bool:
    return isinstance(value, str) and value.isascii()


def text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise invalid(field, f"is a {type(value).__name__}, not a str", type(value).__name__)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise invalid(field, f"has a lone surrogate at {error.start}: it is not valid Unicode") from None
    return value


def as_json(field: str, value: object) -> str:
    """JSON, given as such or as plain data; empty where there is none."""
    if value is None or isinstance(value, str):
        return text(field, value or "")
    try:
        return json.dumps(value)
    except (TypeError, ValueError) as error:
        raise invalid(field, f"has no JSON form: {error}") from None


def table(field: str, value: object, needed: set[str], allowed: set[str]) -> Mapping[str, Any]:
    """A dict with every key that is needed, and no other than is allowed."""
    if not isinstance(value, Mapping) or not needed <= set(value) <= needed | allowed:
        optional = f", and may have {', '.join(sorted(allowed))}" if allowed else ""
        raise invalid(field, f"is {value!r}: it must be a dict with {' and '.join(sorted(needed))}{optional}")
    return value


def count(field: str, value: object, most: int = _UINT32) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise invalid(field, f"is {value!r}: it must be a whole number from 0 to {most}", value)
    return value


def number(field: str, value: object) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise invalid(field, f"is {value!r}: it must be a finite number", value)
    return float(value)


def share(field: str, value: object) -> float:
    found = number(field, value)
    if not 0.0 <= found <= 1.0:
        raise invalid(field, f"is {value!r}: it must be from 0 to 1", value)
    return found


def flag(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise invalid(field, f"is {value!r}: it must be True or False", value)
    return value


def duration(field: str, value: float) -> Duration:
    whole, rest = divmod(round(number(field, value) * 1e9), 1_000_000_000)
    return built(field, Duration, {"seconds": whole, "nanos": rest})


def timestamp(field: str, moment: datetime) -> Timestamp:
    made = Timestamp()
    try:
        made.FromDatetime(moment)
    except (AttributeError, TypeError, ValueError) as error:
        raise invalid(field, f"is no moment in time: {error}", moment) from None
    return made


def enum(field: str, kind: Any, word: object) -> Any:
    if word == "":
        return 0
    prefix = kind.Name(0).removesuffix("UNSPECIFIED")
    known = {name.removeprefix(prefix).lower(): value for name, value in kind.items() if value}
    if word not in known:
        raise invalid(field, f"is {word!r}: it must be one of {', '.join(known)}", word)
    return known[word]


def built(field: str, kind: type[M], values: Mapping[str, Any]) -> M:
    """A message, where protobuf itself knows the range of its numbers."""
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise invalid(field, f"does not fit the contract: {error}") from None
