"""The record of what was changed and who was refused: from the ring in Rust to a file.

Each line is JSON: `timestamp`, `who` (tenant, role, the token's public part; null for somebody unknown), `from` and
`door` (where the call came in), `method`, `outcome` (a status code) and `detail`.  Neither texts nor secrets are in it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from router.events import Sink, pour
from waypost.logfile import Line

BATCH = 4096


class Core(Protocol):
    """The part of `_core.Router` that hands out lines."""

    def next_audits(self, max: int, timeout_s: float) -> list[str]: ...

    def dropped_audits(self) -> int: ...


def drain(core: Core, sink: Sink, stop: threading.Event) -> None:
    """Writes lines as they come until `stop` is set, and then those that are left; says how many were lost."""
    pour(lambda wait_s: core.next_audits(BATCH, wait_s), core.dropped_audits, sink, "audits", stop)


@dataclass(frozen=True)
class Wanted:
    """Which lines are of interest; what is empty is not looked at.

    Attributes:
        since: not before this moment.
        who: the name of a tenant, a role, or the public part of a token.
        method: part of its name, such as "Token" or "MeshService/SetRollout".
        outcome: such as "PERMISSION_DENIED".
    """

    since: datetime | None = None
    who: str = ""
    method: str = ""
    outcome: str = ""

    def __call__(self, line: Line) -> bool:
        who, at = line.get("who") or {}, datetime.fromisoformat(line["timestamp"])
        return (
            (not self.since or at >= self.since)
            and (not self.who or self.who in (who.get("tenant"), who.get("role"), who.get("token")))
            and self.method.lower() in str(line.get("method", "")).lower()
            and self.outcome.upper() in ("", line.get("outcome"))
        )
