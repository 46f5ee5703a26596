"""What a router does beside its calls for rollouts: judge them, compare shadow calls, write a report at the end.

The journal and the compared answers are among Waypost's logs; the report of a rollout that has ended is in a folder of
its name below `rollouts` at home.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Protocol

import structlog

from router import rollout, rollout_report, shadow
from router.events import Sink
from waypost import places
from waypost.logfile import RotatingFile

log = structlog.get_logger()

MAX_BYTES = 64 << 20
"""Of the journal and of the shadow calls; beyond it a file becomes `….1`."""


class Core(rollout.Core, shadow.Core, Protocol):
    """The part of `_core.Router` that this needs."""


def jobs(
    core: Core,
    judge: rollout.Call,
    traffic: rollout.Call,
    pace: rollout.Pace,
    also: Callable[[Sink], Sink] = lambda sink: sink,
) -> Iterator[Callable[[threading.Event], None]]:
    """Each runs in a thread of its own until its event is set.

    Args:
        judge: `_core.judge_canary`.
        traffic: `_core.canary_traffic`.
        pace: the section `rollout` of the router's configuration.
        also: gives a sink that keeps the journal's lines elsewhere, too.
    """
    journal = also(RotatingFile(places.log("rollouts"), MAX_BYTES))
    shadows = RotatingFile(places.log("shadows"), MAX_BYTES)
    yield rollout.Watcher(core, judge, traffic, pace, journal, ended=report).run
    yield lambda stop: shadow.drain(core, shadows, stop)


def report(name: str) -> None:
    """Writes the report of a rollout that has ended; one that cannot be written is no reason to stop routing."""
    try:
        path = rollout_report.write(
            name, places.log("rollouts"), places.log("shadows"), places.home() / "rollouts" / name
        )
        log.info("rollout reported", rollout=name, report=str(path))
    except (OSError, LookupError, ValueError) as error:
        log.error("rollout not reported", rollout=name, error=str(error))
