"""What a failed attempt means: what the caller is told, and whether another attempt may help.

A provider's own words reach the caller without the key; not at all where it refuses the key, since some repeat parts of
it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from httpx import ConnectError, ConnectTimeout
from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError
from pydantic import ValidationError

from services.openai_wire.errors import of_request
from services.refusal import ModelFailed, ProviderFailed, RateLimited, Refused
from services.remote.hints import retry_after_s
from services.schemas import shown

PAUSE_S = 1.0
"""What a caller is told where the provider says no time."""
UNPAID_PAUSE_S = 60.0
"""How long a provider is left alone that wants money first."""


@dataclass(eq=False)
class Failure(Exception):
    """An attempt failed; `pause_s` is the provider's own word on when to come back."""

    refused: Refused
    again: bool = False
    pause_s: float | None = None

    @property
    def unbilled(self) -> bool:
        """Whether nothing of the attempt can be on the provider's bill: it refused, or was never reached."""
        return isinstance(self.refused, RateLimited) or getattr(self.refused, "unbilled", False)

    def final(self) -> Failure:
        """The same after part of the answer has been passed on."""
        return replace(self, again=False)


Hide = Callable[[str], str]


def understood(error: Exception, hide: Hide, field: str) -> Failure:
    """The failure behind an exception of the client's; `field` is where the request's prompt was."""
    if isinstance(error, APIStatusError):
        return _of_status(error, hide, field)
    if isinstance(error, APITimeoutError):
        return Failure(ProviderFailed("it does not answer in time", unbilled=_unreached(error)), again=True)
    if isinstance(error, APIConnectionError):
        words = f"the connection failed: {_cause(error, hide)}"
        return Failure(ProviderFailed(words, unbilled=_unreached(error)), again=True)
    if isinstance(error, APIError):
        return Failure(ProviderFailed(f"it broke off its answer: {_words(error, hide)}"), again=True)
    return Failure(ProviderFailed(f"it sends what is no answer: {_garbage(error, hide)}"), again=True)


def _of_status(error: APIStatusError, hide: Hide, field: str) -> Failure:
    headers = error.response.headers
    pause = retry_after_s(headers, datetime.now(UTC))
    failure = _judged(error, pause or PAUSE_S, hide, field)
    if said := headers.get("x-should-retry"):
        failure = replace(failure, again=said == "true")
    return replace(failure, pause_s=pause)


def _judged(error: APIStatusError, pause_s: float, hide: Hide, field: str) -> Failure:
    status = error.status_code
    words = f"{_words(error, hide)} (HTTP {status})"
    if status in (401, 403):
        words = f"its provider refuses our key (HTTP {status}): see key_env or key_file"
        return Failure(ModelFailed(words, unbilled=True))
    if status == 402 or _is(error, "insufficient_quota"):
        words = f"it wants to be paid: {words}"
        return Failure(ProviderFailed(words, max(pause_s, UNPAID_PAUSE_S), unbilled=True))
    if status == 404:
        return Failure(ModelFailed(f"its provider does not serve it: {words}", unbilled=True))
    if status == 429:
        return Failure(RateLimited(pause_s), again=True)
    if status in (408, 409) or status >= 500:
        return Failure(ProviderFailed(words, pause_s, unbilled=True), again=True)
    return Failure(of_request(_body(error), words, field))


def _unreached(error: APIConnectionError) -> bool:
    return isinstance(error.__cause__, ConnectError | ConnectTimeout)


def _is(error: APIError, code: str) -> bool:
    return code in (error.code, error.type)


def _body(error: APIError) -> dict[str, Any]:
    return error.body if isinstance(error.body, dict) else {}


def _words(error: APIError, hide: Hide) -> str:
    """The provider's message; hidden first, shortened after, so that no part of a key stays."""
    body = error.body
    said = _body(error).get("message") or (body if isinstance(body, str) else body and json.dumps(body, default=str))
    return shown(hide(str(said or error.message)))


def _garbage(error: Exception, hide: Hide) -> str:
    """Without the garbage itself, which pydantic would repeat in part."""
    if not isinstance(error, ValidationError):
        return shown(hide(str(error)))
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _cause(error: Exception, hide: Hide) -> str:
    cause = error.__cause__ or error
    return shown(hide(str(cause) or type(cause).__name__))
