"""Which workers there are: addresses of the configuration, and those of a watched file.

The file has one address a line; `#` starts a comment.  It is read again whenever it changes, whichever way it is
replaced (Kubernetes swaps a symlink, editors rename).  A file that cannot be understood changes nothing: the list
before it stays.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog
import watchfiles

from waypost import address

log = structlog.get_logger()

QUIET_MS = 50
"""The file is read when nothing in its folder has changed for so long: writers write in pieces."""


class InvalidInstanceList(ValueError):
    """Raised by `read`: a line of the file is no address."""

    def __init__(self, path: Path, line: int, text: str, why: object) -> None:
        super().__init__(f"{path}, line {line}: {text!r} is {why}")


def read(path: Path) -> list[str]:
    """The addresses in `path`; none where there is no such file (yet).

    Raises:
        InvalidInstanceList: a line is no address.
    """
    lines = path.read_text().splitlines() if path.exists() else []
    return [each for number, line in enumerate(lines, 1) if (each := _address(path, number, line))]


def combined(static: Iterable[str], listed: Iterable[str]) -> list[str]:
    """Both lists as one, each address once."""
    return list(dict.fromkeys([*static, *listed]))


def watch(path: Path, known: list[str], changed: Callable[[list[str]], None], stop: threading.Event) -> None:
    """Until `stop` is set, calls `changed` with the addresses in `path` whenever they are others than before."""
    for _ in watchfiles.watch(path.parent, stop_event=stop, watch_filter=None, step=QUIET_MS, recursive=False):
        found = _read_again(path, known)
        if found != known:
            known = found
            log.info("instances changed", file=str(path), instances=found)
            changed(found)


def _read_again(path: Path, known: list[str]) -> list[str]:
    try:
        return read(path)
    except (OSError, ValueError) as error:
        log.error("instances unreadable", file=str(path), error=str(error))
        return known


def _address(path: Path, number: int, line: str) -> str:
    text = line.partition("#")[0].strip()
    try:
        if text:
            address.parse(text)
    except address.InvalidAddress as error:
        raise InvalidInstanceList(path, number, text, error) from None
    return text
