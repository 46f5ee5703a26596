"""When a provider says to come back, in every form that is in use."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.remote.hints import retry_after_s

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
IN_90_S = "2026-11-21T12:01:30Z"
EPOCH = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:05 GMT"}, 5.0),
        ({"retry-after": "Sat, 21 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan", "retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "7"}, 7.0),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-reset-requests": "1h2m3.5s"}, 3723.5),
        ({"x-ratelimit-reset-tokens": "20ms"}, 0.02),
        ({"x-ratelimit-reset-tokens": "20 ms"}, None),
        ({"x-ratelimit-reset": "30"}, 30.0),
        ({"x-ratelimit-reset": str(EPOCH + 12)}, 12.0),
        ({"x-ratelimit-reset": f"{EPOCH + 12}000"}, 12.0),
        ({"anthropic-ratelimit-requests-reset": IN_90_S}, 90.0),
        ({"x-ratelimit-reset-requests": "9s", "x-ratelimit-reset-tokens": "3s"}, 9.0),
        (
            {
                "x-ratelimit-reset-requests": "9s",
                "x-ratelimit-remaining-requests": "4",
                "x-ratelimit-reset-tokens": "3s",
                "x-ratelimit-remaining-tokens": "0",
            },
            3.0,
        ),
    ],
)
def test_a_hint_is_seconds_from_now(headers: dict[str, str], expected: float | None) -> None:
    """Never below zero; what is not understood is no hint."""
    assert retry_after_s(headers, NOW) == expected
