"""Which CPUs this process may use, and how many: the smaller of its affinity mask and its control groups' quota.

Containers limit CPU by quota, which `os.cpu_count` does not see; threads beyond the quota only get throttled.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Iterable
from pathlib import Path

from waypost import cgroups

_CPUINFO = Path("/proc/cpuinfo")

LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
"""Environment variables by which libraries are told how many threads to have, where nobody tells them otherwise."""


def available() -> int:
    """Whole cores, at least one."""
    cores = len(mine())
    return max(1, min(cores, int(quota() or cores)))


def mine() -> tuple[int, ...]:
    """Numbers of the CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def pin(cpus: Collection[int], threads: int) -> None:
    """Keeps this process on `cpus`, and libraries that are loaded from now on at so many threads.

    Threads run where the one that started them may: this comes before any other is started.
    """
    if hasattr(os, "sched_setaffinity") and set(cpus) != set(mine()):
        os.sched_setaffinity(0, cpus)
    for name in LIBRARIES:
        os.environ.setdefault(name, str(threads))


def parsed(text: str) -> tuple[int, ...]:
    """The CPUs of a list such as "0-3,6".

    Raises:
        ValueError: it is none.
    """
    found = {cpu for part in text.split(",") for cpu in _range(part)}
    return tuple(sorted(found))


def shown(cpus: Iterable[int]) -> str:
    """A list of CPUs as `parsed` reads it."""
    parts: list[list[int]] = []
    for cpu in sorted(cpus):
        if parts and cpu == parts[-1][-1] + 1:
            parts[-1][1:] = [cpu]
        else:
            parts.append([cpu])
    return ",".join("-".join(map(str, part)) for part in parts)


def processor() -> str:
    """The CPU's own name, where the system tells it."""
    lines = cgroups.read(_CPUINFO).splitlines()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def quota(v2: Collection[Path] | None = None, v1: Collection[Path] | None = None) -> float | None:
    """Cores' worth of time that the control groups grant; None where they set no limit."""
    unified = [cgroups.read(folder / "cpu.max").split() for folder in _or(v2, cgroups.unified())]
    legacy = [_words(folder) for folder in _or(v1, cgroups.legacy("cpu"))]
    granted = [int(words[0]) / int(words[1]) for words in (*unified, *legacy) if _is_limit(words)]
    return min(granted, default=None)


def _or(given: Collection[Path] | None, usual: Collection[Path]) -> Collection[Path]:
    return usual if given is None else given


def _words(folder: Path) -> list[str]:
    return [cgroups.read(folder / name).strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")]


def _is_limit(words: list[str]) -> bool:
    return len(words) == 2 and all(word.isdecimal() for word in words)


def _range(part: str) -> range:
    first, dash, last = (each.strip() for each in part.partition("-"))
    ends = (first, last) if dash else (first, first)
    if not all(end.isascii() and end.isdecimal() for end in ends) or int(ends[0]) > int(ends[1]) or len(last) > 5:
        raise ValueError('not a list of CPUs; write such as "0-3,6"')
    return range(int(ends[0]), int(ends[1]) + 1)
