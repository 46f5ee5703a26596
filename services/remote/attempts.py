"""Another attempt after a failed one, while nothing of the answer has been passed on.

Pauses are what the provider said, else grow with full jitter (the "Exponential Backoff And Jitter" of AWS's builders'
library).  There is none that is longer than `LONGEST_S` or that ends after the request's deadline: then the caller is
told at once, who may go elsewhere.

What costs money is tried again only where the attempt before can be on nobody's bill: the router holds the most that
one attempt can cost.
"""

from __future__ import annotations

from functools import partial

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_any,
    stop_before_delay,
    wait_random_exponential,
)
from tenacity.stop import stop_base

from services.remote.failure import Failure

LONGEST_S = 30.0

_growing = wait_random_exponential(multiplier=0.25, max=8.0)


def attempts(most: int, remaining_s: float, *, priced: bool = False) -> AsyncRetrying:
    """At most so many, none after `remaining_s`; the last failure is raised as it is."""
    return AsyncRetrying(
        retry=retry_if_exception(partial(_worth_another, priced)),
        wait=_pause_s,
        stop=stop_any(stop_after_attempt(most), stop_before_delay(remaining_s), _TooLong()),
        reraise=True,
    )


def _worth_another(priced: bool, error: BaseException) -> bool:
    return isinstance(error, Failure) and error.again and (error.unbilled or not priced)


def _pause_s(state: RetryCallState) -> float:
    failure = state.outcome and state.outcome.exception()
    said = failure.pause_s if isinstance(failure, Failure) else None
    return _growing(state) if said is None else said


class _TooLong(stop_base):
    def __call__(self, state: RetryCallState) -> bool:
        return state.upcoming_sleep > LONGEST_S
