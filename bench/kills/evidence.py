"""What a part of the bench found, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

HEADER = ("what, and where", "kills", "sent", "acknowledged", "of these lost", "half", "beside")


@dataclass(frozen=True)
class Plan:
    """How much is asked for: `changes` in all (upserts, lines, calls), and so many `kills` in the middle of them."""

    kills: int = 50
    changes: int = 10_000

    @property
    def each(self) -> int:
        """Changes of one life, of which there are as many as kills."""
        return -(-self.changes // self.kills)


@dataclass(frozen=True)
class Evidence:
    """Of one thing in one place.

    Attributes:
        sent: changes that were asked for, whether they came to their end or not.
        acknowledged: those of them whose caller was told that they are kept.
        lost: those of the acknowledged that are not there as they were told.
        half: what is there neither as it was before nor whole.
        beside: what else a reader should know.
    """

    what: str
    kills: int
    sent: int
    acknowledged: int
    lost: int
    half: int
    beside: str = ""

    @property
    def holds(self) -> bool:
        """Whether nothing is lost or half, of something."""
        return self.acknowledged > 0 and not self.lost and not self.half

    def row(self) -> list[object]:
        """Of the table."""
        return [self.what, self.kills, self.sent, self.acknowledged, _loud(self.lost), _loud(self.half), self.beside]


Part = Callable[[Plan], Iterable[Evidence]]
"""One part of the bench: kills processes as planned, and looks at what is left."""


def _loud(count: int) -> str:
    return f"**{count}**" if count else "0"
