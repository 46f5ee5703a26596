"""What callers think of answers: from the ring in Rust to the log of calls.

Each line is JSON: `timestamp`, `request_id` of the answer, the `tenant` it was for, the `model` that gave it, and the
`score` from 0, useless, to 1, perfect.
"""

from __future__ import annotations

import threading
from typing import Protocol

from router.events import Sink, pour

BATCH = 4096


class Core(Protocol):
    """The part of `_core.Router` that hands out lines."""

    def next_feedback(self, max: int, timeout_s: float) -> list[str]: ...

    def dropped_feedback(self) -> int: ...


def drain(core: Core, sink: Sink, stop: threading.Event) -> None:
    """Writes lines as they come until `stop` is set, and then those that are left; says how many were lost."""
    pour(lambda wait_s: core.next_feedback(BATCH, wait_s), core.dropped_feedback, sink, "feedback", stop)
