"""Cores, shared by the searches that run at once.

A library that uses all cores for each call makes two calls at once fight over them, and one that uses a single core
leaves the others idle when there is one caller.  So each search is told how many are its own when it begins.
"""

from __future__ import annotations

from threading import Lock


class Share:
    """`with share as cores:` is a search that may use so many threads."""

    def __init__(self, cores: int) -> None:
        self._cores, self._searches, self._lock = cores, 0, Lock()

    def __enter__(self) -> int:
        with self._lock:
            self._searches += 1
            return max(1, self._cores // self._searches)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._searches -= 1
