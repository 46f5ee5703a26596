"""What becomes of the errors of a database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, TimeoutError

from services.refusal import StoreUnreachable

AGAIN = {"40001", "40P01"}
"""Two changes waited for each other."""
ATTEMPTS = 3

Result = TypeVar("Result")


class InTheWay(StoreUnreachable):
    """Another change was; nothing was done."""


def persistent(change: Callable[[], Result]) -> Result:
    """What a change gives that is made again if others were in the way."""
    for _ in range(ATTEMPTS - 1):
        try:
            return change()
        except InTheWay:
            continue
    return change()


@contextmanager
def reached() -> Iterator[None]:
    """What is done inside needs the database.

    Raises:
        StoreUnreachable: it is away, takes too long, or has no room.
        InTheWay: it is worth another try.
    """
    try:
        yield
    except DBAPIError as error:
        again = getattr(error.orig, "sqlstate", None) in AGAIN
        raise (InTheWay if again else StoreUnreachable)(why(error)) from error
    except TimeoutError as error:
        raise StoreUnreachable("all connections are taken") from error


def why(error: DBAPIError) -> str:
    """The database's own words, on one line, without the statement."""
    return " ".join(str(error.orig).split())
