"""An answer put together from its chunks: text, tool calls, why it ended, what it cost.

    gathered = Gathered()
    for chunk in chunks:
        piece = gathered.add(chunk)     # text to pass on, "" where the chunk had none
    gathered.reason

A stream that ends without a finish reason was cut: `reason` is None.  A reason that this table does not know raises,
since an answer that was cut must not pass for a whole one.
"""

from __future__ import annotations

from typing import Literal

from services.openai_wire.chunks import CallDelta, Choice, Chunk, Usage
from services.refusal import ProviderFailed
from services.tools import Call

Reason = Literal["stop", "length", "tool_calls", "filtered"]

REASONS: dict[str, Reason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "filtered",
    "refusal": "filtered",
}
"""What providers say, to what the contract says."""


class Gathered:
    """What has come of an answer so far."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.usage: Usage | None = None
        self._said: Reason | None = None
        self._refused = False
        self._calls: list[_Parts] = []

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join(self.pieces)

    @property
    def begun(self) -> bool:
        """Whether the provider has done any work."""
        return bool(self.pieces or self._calls or self.usage)

    @property
    def calls(self) -> list[Call]:
        """The tool calls; those without an id or arguments get some."""
        return [parts.call(number) for number, parts in enumerate(self._calls)]

    @property
    def reason(self) -> Reason | None:
        """Why it ended; some servers say "stop" of an answer that is calls."""
        if self._refused:
            return "filtered"
        if self._said in ("stop", "tool_calls"):
            return "tool_calls" if self._calls else "stop"
        return self._said

    def add(self, chunk: Chunk) -> str:
        """Takes a chunk in; returns its text.

        Raises:
            ProviderFailed: it ends the answer for an unknown reason, or because the provider broke off.
        """
        self.usage = chunk.usage or self.usage
        text = "".join(self._take(choice) for choice in chunk.choices[:1])
        if text:
            self.pieces.append(text)
        return text

    def _take(self, choice: Choice) -> str:
        if choice.finish_reason:
            self._said = _reason(choice.finish_reason)
        if choice.delta is None:
            return choice.text or ""
        for each in choice.delta.tool_calls:
            self._take_call(each)
        self._refused = self._refused or bool(choice.delta.refusal)
        return (choice.delta.content or "") + (choice.delta.refusal or "")

    def _take_call(self, delta: CallDelta) -> None:
        known = next((parts for parts in reversed(self._calls) if parts.continued_by(delta)), None)
        if known is None:
            known = _Parts(delta.index)
            self._calls.append(known)
        known.add(delta)


class _Parts:
    """A call in the making."""

    def __init__(self, index: int) -> None:
        self.index, self.id, self.name, self.arguments = index, "", "", ""

    def continued_by(self, delta: CallDelta) -> bool:
        """Some providers give each call index 0 and an id of its own."""
        return delta.index == self.index and delta.id in (None, "", self.id)

    def add(self, delta: CallDelta) -> None:
        self.id = delta.id or self.id
        self.name += delta.function.name or ""
        self.arguments += delta.function.arguments or ""

    def call(self, number: int) -> Call:
        return Call(self.id or f"call_{number}", self.name, self.arguments.strip() or "{}")


def _reason(said: str) -> Reason:
    if said not in REASONS:
        raise ProviderFailed(f"it broke off its answer: finish_reason {said[:40]!r}")
    return REASONS[said]
