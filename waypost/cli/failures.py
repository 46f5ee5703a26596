"""What a failed command says, and its exit code.

Failures that have a user's fix are a line.  Whatever else is a bug and keeps its traceback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from waypost.config import ConfigError

if TYPE_CHECKING:
    from waypost.errors import WaypostError

FAILED = 1
WRONG_USAGE = 2


class CommandError(Exception):
    """A command cannot do what it was asked; the message says what to do instead."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def failure(error: Exception) -> tuple[str, int]:
    """Message and exit code for `error`.

    Raises:
        Exception: `error` itself, when no user could act on it.
    """
    if isinstance(error, CommandError):
        return f"waypost: {error}", error.code
    if isinstance(error, ConfigError):
        return f"waypost: {error}", WRONG_USAGE
    if isinstance(error, of_models()):
        return f"waypost: {error}", FAILED
    if isinstance(error, OSError):
        return f"waypost: {error.strerror or error}{_named(error)}", FAILED
    return _of_call(error)


def of_models() -> tuple[type[Exception], ...]:
    """What is wrong with a model, or with a head, and is the user's to mend."""
    from services.backend import ModelUnusable
    from services.heads.errors import HeadError
    from waypost.catalogue import CatalogueError

    return CatalogueError, ModelUnusable, HeadError


def _named(error: OSError) -> str:
    return f": {error.filename}" if error.filename else ""


def _of_call(error: Exception) -> tuple[str, int]:
    from waypost.errors import InvalidRequest, WaypostError

    if not isinstance(error, WaypostError):
        raise error
    return f"waypost: {error.message}{_hint(error)}", WRONG_USAGE if isinstance(error, InvalidRequest) else FAILED


def _hint(error: WaypostError) -> str:
    from waypost.errors import Unavailable

    if isinstance(error, Unavailable) and not error.reason:
        return "; is the mesh running? `waypost up` starts one"
    if error.reason == "ERROR_REASON_UNAUTHENTICATED":
        return "; this command takes the key from the environment, as WAYPOST_KEY"
    return ""
