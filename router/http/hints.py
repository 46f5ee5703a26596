"""What a request asks of its route: the object `waypost` of the body, else headers `X-Waypost-…`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from router.http.failure import invalid
from router.http.shape import Ask
from waypost.v1 import common_pb2

Tag = Annotated[str, Field(min_length=1, max_length=64)]
Tier = Literal["simple", "medium", "high", "creative", "premium"]
Priority = Literal["low", "normal", "high"]


class Hints(Ask):
    """What OpenAI's requests have no field for."""

    tier: Tier | None = None
    """How much model the request deserves; absent: the router reads it in the prompt."""
    required_tags: Annotated[list[Tag], Field(max_length=64)] | None = None
    """Only models that have every one of these."""
    optional_tags: Annotated[list[Tag], Field(max_length=64)] | None = None
    """Models that have these come first."""
    max_cost_usd: Annotated[float, Field(ge=0)] | None = None
    """Most that the call may cost; 0 sets no limit."""
    session: Annotated[str, Field(max_length=256)] | None = None
    """Requests of one session go to one instance while it lives."""
    priority: Priority | None = None
    """Who goes first when requests queue."""
    no_cache: bool | None = None
    """Neither answer from the router's cache nor keep the answer there."""
    no_store: bool | None = None
    """Keep nothing of what is said: no payload log, no cache, no copy to a canary."""


PREFIX = b"x-waypost-"
HEADERS: dict[bytes, str] = {PREFIX + name.replace("_", "-").encode(): name for name in Hints.model_fields}
"""The header of each hint."""
NAMES = set(Hints.model_fields)
LISTS = frozenset({"required_tags", "optional_tags"})
TIERS = {
    name: common_pb2.Tier.Value(f"TIER_{name.upper()}") for name in ("simple", "medium", "high", "creative", "premium")
}
PRIORITIES = {name: common_pb2.Priority.Value(f"PRIORITY_{name.upper()}") for name in ("low", "normal", "high")}


def route(
    headers: Mapping[bytes, bytes], given: Hints | None, store: bool | None = None
) -> common_pb2.RouteHints | None:
    """The hints of a request; `store` is OpenAI's own field.

    Raises:
        Failure: a header has a value it cannot have.
    """
    said = given.model_dump(include=NAMES, exclude_none=True) if given else {}
    if any(name.startswith(PREFIX) for name in headers):
        said = _of_headers(headers) | said
    if store is False:
        said["no_store"] = True
    if not said:
        return None
    said["tier"] = TIERS.get(said.get("tier", ""))
    said["priority"] = PRIORITIES.get(said.get("priority", ""))
    return common_pb2.RouteHints(**said)


def _of_headers(headers: Mapping[bytes, bytes]) -> dict[str, Any]:
    texts = {name: headers[key].decode("latin-1").strip() for key, name in HEADERS.items() if key in headers}
    values = {name: _listed(text) if name in LISTS else text for name, text in texts.items()}
    try:
        return Hints.model_validate(values, strict=False).model_dump(exclude_none=True)
    except ValidationError as error:
        worst = error.errors(include_url=False, include_context=False)[0]
        header = f"X-Waypost-{str(worst['loc'][0]).replace('_', '-').title()}"
        raise invalid(header, f"the header {header}: {worst['msg'].lower()}") from None


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]
