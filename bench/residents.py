"""Which processes of a mesh run and what memory they hold, looked at every fifth of a second.

Resident memory (RSS) counts pages that processes share once for each of them: the sum is an upper bound.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import psutil

EVERY_S = 0.2


@dataclass
class Seen:
    """The most of everything; bytes."""

    looks: int = 0
    over: int = 0
    """Looks at which all workers held more than the budget."""
    workers: int = 0
    others: Counter[str] = field(default_factory=Counter)
    """By what the process is: "router", "up" (the supervisor), …"""
    together: int = 0
    """Processes of workers."""
    of_one: int = 0
    """Processes of one worker."""
    starts: Counter[str] = field(default_factory=Counter)
    """Processes that were ever there, by worker."""
    load: float = 0.0
    """Sum of the machine's load averages (1 minute)."""


class Residents:
    """Looks from the start of the block to its end; `pid` is the supervisor's."""

    def __init__(self, pid: int, budget: int) -> None:
        self.seen = Seen()
        self._up = psutil.Process(pid)
        self._budget = budget
        self._known: dict[psutil.Process, tuple[str, str]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._over.wait(EVERY_S):
            self._look()

    def _look(self) -> None:
        seen, names, workers = self.seen, Counter[str](), 0
        for process in (self._up, *self._up.children()):
            kind, name = self._what(process)
            held = _rss(process)
            if kind == "worker":
                names[name] += 1
                workers += held
            else:
                seen.others[kind] = max(seen.others[kind], held)
        seen.looks += 1
        seen.load += psutil.getloadavg()[0]
        seen.over += workers > self._budget
        seen.workers = max(seen.workers, workers)
        seen.together = max(seen.together, names.total())
        seen.of_one = max(seen.of_one, *names.values(), 0)

    def _what(self, process: psutil.Process) -> tuple[str, str]:
        """Its subcommand, and the worker that it is of."""
        if process not in self._known:
            kind, name = _said(process)
            if kind == "":
                return "gone", ""
            self._known[process] = kind, name
            self.seen.starts[name] += kind == "worker"
        return self._known[process]


def _said(process: psutil.Process) -> tuple[str, str]:
    try:
        command = process.cmdline()
    except psutil.Error:
        return "", ""
    if "waypost" not in command:  # it is about to become one
        return "", ""
    name = command[command.index("--name") + 1] if "--name" in command else ""
    return command[command.index("waypost") + 1], name


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
