"""Token buckets with a clock that the test moves."""

from __future__ import annotations

import pytest

from services.refusal import RateLimited
from services.remote.limits import Limits


def wait_s(limits: Limits, now: float) -> float:
    """What a request is told at `now`; 0: it is let through."""
    try:
        limits.admit(now)
    except RateLimited as limited:
        return limited.retry_after_s
    return 0.0


def test_a_minutes_worth_may_come_at_once_and_then_one_by_one() -> None:
    """60 a minute: after 60 at once, one a second."""
    limits = Limits(requests=60, tokens=0, now=0.0)
    assert [wait_s(limits, 0.0) for _ in range(60)] == [0.0] * 60
    assert wait_s(limits, 0.0) == pytest.approx(1.0)
    assert wait_s(limits, 0.25) == pytest.approx(0.75)
    assert wait_s(limits, 1.0) == 0.0
    assert wait_s(limits, 1.0) == pytest.approx(1.0)


def test_coming_back_when_told_is_let_through() -> None:
    """The wait is exact."""
    limits = Limits(requests=7, tokens=0, now=0.0)
    for _ in range(7):
        limits.admit(0.0)
    wait = wait_s(limits, 3.0)
    assert wait > 0 and wait_s(limits, 3.0 + wait + 1e-9) == 0.0


def test_answers_overdraw_the_tokens() -> None:
    """600 a minute, 900 spent: 30 seconds until it is level again."""
    limits = Limits(requests=0, tokens=600, now=0.0)
    limits.admit(0.0)
    limits.spend(0.0, 900)
    assert wait_s(limits, 0.0) == pytest.approx(30.1)
    assert wait_s(limits, 31.0) == 0.0


def test_no_limit_is_no_limit() -> None:
    """0 of either."""
    limits = Limits(requests=0, tokens=0, now=0.0)
    limits.spend(0.0, 10**9)
    assert wait_s(limits, 0.0) == 0.0


def test_quiet_minutes_are_not_saved_up() -> None:
    """An hour of silence buys one minute's worth."""
    limits = Limits(requests=2, tokens=0, now=0.0)
    assert [wait_s(limits, 3600.0) == 0.0 for _ in range(3)] == [True, True, False]
