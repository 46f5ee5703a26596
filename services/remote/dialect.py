"""What an endpoint calls things, learnt from its refusals.

OpenAI's newer models refuse `max_tokens`, which all others know; some servers refuse `stream_options`, or `store`: who
does not know that word cannot be told not to keep anything.  They say so by name in a 400 or 422, and are remembered
for the life of the client.
"""

from __future__ import annotations

import re
from typing import Any

from openai import APIStatusError

from services.openai_wire.ask import Body

_STORE = re.compile(r"\bstore\b")


class Dialect:
    """How one endpoint wants its requests."""

    def __init__(self) -> None:
        self._completion_tokens = False
        self._usage = True
        self._store = True

    def spoken(self, body: Body) -> Body:
        """`body` in this dialect."""
        said: dict[str, Any] = body | {"stream": True}
        if self._completion_tokens:
            said["max_completion_tokens"] = said.pop("max_tokens")
        if self._usage:
            said["stream_options"] = {"include_usage": True}
        if not self._store:
            said.pop("store", None)
        return said

    def learns(self, error: APIStatusError) -> bool:
        """Whether a refusal taught something, so that asking again makes sense."""
        before = self._completion_tokens, self._usage, self._store
        if error.status_code in (400, 422):
            words = str(error.body)
            self._completion_tokens = self._completion_tokens or "max_completion_tokens" in words
            self._usage = self._usage and "stream_options" not in words
            self._store = self._store and not _STORE.search(words)
        return before != (self._completion_tokens, self._usage, self._store)
