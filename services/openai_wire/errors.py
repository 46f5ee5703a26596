"""What an endpoint's error body says of the request it does not take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.refusal import InvalidField, NotCapable, Refused, TextTooLong

TOO_LONG = ("context_length_exceeded", "exceed_context_size_error")


def of_request(error: Mapping[str, Any], words: str, field: str) -> Refused:
    """Why the request was not taken; `field` is where its prompt was.  llama-server says by how much it is too long."""
    limit, actual = error.get("n_ctx"), error.get("n_prompt_tokens")
    if isinstance(limit, int) and isinstance(actual, int):
        return TextTooLong(field, limit, actual)
    if error.get("code") in TOO_LONG or error.get("type") in TOO_LONG:
        return InvalidField(field, "too long", f"within the model's context: {words}")
    return NotCapable(f"the request is refused: {words}")
