"""What a failed command says, and its exit code.

Failures that have a user's fix are a line.  Whatever else is a bug and keeps its traceback.
"""

from __future__ import annotations

from waypost.config import ConfigError

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
    from waypost.errors import InvalidRequest, Unavailable, WaypostError

    if not isinstance(error, WaypostError):
        raise error
    hint = "; is the mesh running? `waypost up` starts one" if _nobody_there(error, Unavailable) else ""
    return f"waypost: {error.message}{hint}", WRONG_USAGE if isinstance(error, InvalidRequest) else FAILED


def _nobody_there(error: Exception, unavailable: type) -> bool:
    return isinstance(error, unavailable) and not getattr(error, "reason", "")
