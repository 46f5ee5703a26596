"""The API key: read when it is needed, shown to the provider and to nobody else.

It has no `str`, its `repr` hides it, and `hide` takes it out of whatever a provider sends back.
"""

from __future__ import annotations

import html
import json
import os
from pathlib import Path
from urllib.parse import quote

from services.backend import ModelUnusable
from waypost.config import Remote

HIDDEN = "[key]"


class Key:
    """A key, or none."""

    def __init__(self, value: str = "") -> None:
        self._value = value
        self._forms = {value, json.dumps(value)[1:-1], html.escape(value), quote(value, safe="")} - {""}

    @classmethod
    def of(cls, remote: Remote) -> Key:
        """The key that the configuration points to.

        Raises:
            ModelUnusable: it is not there, or cannot be sent.
        """
        value, where = _found(remote)
        if where and not value:
            raise ModelUnusable(f"there is no API key in {where}: put it there, or leave the setting out")
        if not all("!" <= letter <= "~" for letter in value):
            raise ModelUnusable(f"the API key in {where} has spaces, line breaks or letters that no header may have")
        return cls(value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Key()"

    def reveal(self) -> str:
        """For the provider's client only."""
        return self._value

    def hide(self, text: str) -> str:
        """`text` without the key, however it is escaped."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        return text


def _found(remote: Remote) -> tuple[str, str]:
    """The key, and where it was looked for."""
    if remote.key_env:
        return os.environ.get(remote.key_env, "").strip(), f"the environment variable {remote.key_env}"
    if remote.key_file:
        return _read(Path(remote.key_file)), remote.key_file
    return "", ""


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not text"
        raise ModelUnusable(f"the API key in {path} cannot be read: {why}") from None
