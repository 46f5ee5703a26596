"""When a provider says to come back, in each of the headers that are in use.

`Retry-After` (seconds or a date), `retry-after-ms` (OpenAI, Azure), `x-ratelimit-reset-requests` and `-tokens` with
values such as "6m0s" or "20ms" (OpenAI, Groq, vLLM's gateways), `anthropic-ratelimit-*-reset` with times (Claude).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

Headers = Mapping[str, str]

UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def retry_after_s(headers: Headers, now: datetime) -> float | None:
    """Seconds to wait; None: it does not say.  Of several resets the last, since any of them may be the one."""
    for read in (_milliseconds, _seconds, _resets):
        found = read(headers, now)
        if found is not None and math.isfinite(found):
            return max(0.0, found)
    return None


def _milliseconds(headers: Headers, now: datetime) -> float | None:
    value = _number(headers.get("retry-after-ms", ""))
    return None if value is None else value / 1000


def _seconds(headers: Headers, now: datetime) -> float | None:
    value = headers.get("retry-after", "")
    number = _number(value)
    return _until(value, now, parsedate_to_datetime) if number is None else number


def _resets(headers: Headers, now: datetime) -> float | None:
    values = (value for name, value in headers.items() if name.lower().startswith(RESETS) and _exhausted(name, headers))
    found = [seconds for value in values if (seconds := _span(value, now)) is not None]
    return max(found, default=None)


RESETS = ("x-ratelimit-reset", "anthropic-ratelimit-requests-reset", "anthropic-ratelimit-tokens-reset")


def _exhausted(name: str, headers: Headers) -> bool:
    """Whether this limit is the one that is used up, as far as it says."""
    return headers.get(name.lower().replace("reset", "remaining"), "0") == "0"


def _span(value: str, now: datetime) -> float | None:
    parts = PART.findall(value)
    if parts and "".join(number + unit for number, unit in parts) == value:
        return sum(float(number) * UNITS_S[unit] for number, unit in parts)
    number = _number(value)
    return _until(value, now, datetime.fromisoformat) if number is None else _from_epoch(number, now)


def _from_epoch(number: float, now: datetime) -> float:
    """Plain numbers are seconds to wait, or a time in seconds or milliseconds since 1970: their size tells."""
    epoch = number / 1000 if number > 1e11 else number
    return epoch - now.timestamp() if epoch > 1e9 else number


def _until(value: str, now: datetime, parse: Callable[[str], datetime]) -> float | None:
    try:
        at = parse(value)
    except (ValueError, TypeError):
        return None
    return (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
