"""The trailers of a reply as `Routing`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from waypost.results import Routing


def routing(trailers: Iterable[tuple[str, Any]] | None) -> Routing:
    said = {key: value for key, value in trailers or () if key.startswith("waypost-")}
    return Routing(
        said.get("waypost-request-id", ""),
        said.get("waypost-served-model", ""),
        said.get("waypost-instance", ""),
        said.get("waypost-reason", ""),
        int(_number(said.get("waypost-attempts")) or 0),
        tuple(said.get("waypost-hops", "").split()),
        said.get("waypost-tier", ""),
        _number(said.get("waypost-cost-usd")),
        _number(said.get("waypost-budget-remaining-usd")),
        said.get("waypost-cache", ""),
        said.get("waypost-guard", ""),
        _number(said.get("waypost-quality")),
        _number(said.get("waypost-waited")),
        said.get("waypost-policy", ""),
    )


def _number(text: str | None) -> float | None:
    """What a proxy may have made of a number must not cost the answer."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
