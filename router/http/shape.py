"""What requests are made of: strict JSON, in which a field that is not known is an error that names it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from router.http.failure import Failure

M = TypeVar("M", bound=BaseModel)


AUTO = "auto"
"""A model's name that leaves the choice to the router, as an empty one does; clients want some name."""

Model = Annotated[str, Field(max_length=256), AfterValidator(lambda name: "" if name == AUTO else name)]
"""A model by name; "auto" or empty: the router chooses."""


class Ask(BaseModel):
    """A JSON object of a request: no unknown keys, no silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Query(BaseModel):
    """What stands behind a path's `?`: no unknown names, values as they are written in JSON."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


def read_query(kind: type[M], query: bytes) -> M:
    """A query as `kind`; as `read`."""
    given = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    try:
        return kind.model_validate_strings(given)
    except ValidationError as error:
        raise _failure(error.errors(include_url=False, include_context=False), given) from None


def read(kind: type[M], body: bytes) -> M:
    """The body as `kind`.

    Raises:
        Failure: it is not one; the first thing that is wrong is named.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        if found[0]["type"] == "json_invalid":
            why = found[0]["msg"].partition(": ")[2]
            raise Failure(400, f"the body is not valid JSON: {why}", "invalid_json") from None
        raise _failure(found, from_json(body)) from None


def read_python(kind: type[M], body: dict[str, Any]) -> M:
    """A body that was read before as `kind`; as `read`."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        raise _failure(error.errors(include_url=False, include_context=False), body) from None


def _failure(found: Sequence[Any], body: Any) -> Failure:
    """The failure that the first of these problems is, or of several branches of a union the one that got furthest."""
    worst = max(found, key=lambda each: len(each["loc"]))
    place, kind = param(worst["loc"], worst["type"], body), worst["type"]
    if kind.startswith("union_tag"):
        place += ".role"
    if kind == "extra_forbidden":
        return Failure(400, f"unknown field: {place}", "unknown_parameter", place)
    if kind == "missing":
        return Failure(400, f"missing field: {place}", "missing_required_parameter", place)
    message = worst["msg"].removeprefix("Value error, ")
    return Failure(
        400, f"{place}: {message[:1].lower()}{message[1:]}" if place else message, "invalid_value", place or None
    )


def param(location: tuple[str | int, ...], kind: str, body: Any) -> str:
    """A place in the body such as `messages[0].content`: pydantic's own, without the names of branches of unions."""
    place, last = "", len(location) - 1
    for index, part in enumerate(location):
        known = _has(body, part)
        if known:
            body = body[part]
        if known or (index == last and kind == "missing"):
            place += f"[{part}]" if isinstance(part, int) else f".{part}"
    return place.removeprefix(".")


def _has(value: Any, part: str | int) -> bool:
    if isinstance(part, int):
        return isinstance(value, list) and part < len(value)
    return isinstance(value, dict) and part in value
