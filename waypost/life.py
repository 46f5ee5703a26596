"""The end of a process: the first signal asks it to drain, the second makes it leave.

A supervised process also holds a lifeline: its parent keeps the other end of its standard input open and never writes.
When the parent goes, however it goes, the lifeline ends and counts as a signal, so that no process is left behind.
(Linux's parent death signal is tied to the parent's thread and is not inherited by what an `exec` wrapper starts.)
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)

Job = Callable[[threading.Event], None]
"""Something to be done until the event is set."""


class Stop:
    """Waits for the first signal.  From then on signals have their default effect, also inside native code."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        for each in SIGNALS:
            signal.signal(each, self._ask)

    def wait(self) -> None:
        """Returns when the process is asked to stop."""
        self._asked.wait()

    def ask(self) -> None:
        """Asks from within the process, from any thread."""
        self._asked.set()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self._asked.set()


def hold_lifeline() -> None:
    """Counts the end of standard input as a SIGTERM."""
    threading.Thread(target=_hold, args=(sys.stdin.fileno(),), name="lifeline", daemon=True).start()


def _hold(lifeline: int) -> None:
    while os.read(lifeline, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def beside(jobs: Iterable[Job]) -> Iterator[None]:
    """Runs jobs in threads of their own until the block is left."""
    stop = threading.Event()
    threads = [threading.Thread(target=job, args=(stop,)) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
