"""Memory of the machine, of the control group this process is in, and of a process."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import psutil

from router.life.members import Memory
from waypost import cgroups

USUAL_SHARE = 0.8
"""Of what is free, for all workers together."""


def budget(configured: int | None) -> int:
    """Bytes that all workers may take together."""
    return configured or int(USUAL_SHARE * now(0).free)


def now(budget: int, v2: Collection[Path] | None = None, v1: Collection[Path] | None = None) -> Memory:
    """What there is: the machine's, or of a control group where that leaves less."""
    machine = psutil.virtual_memory()
    unified = map(_unified, cgroups.unified() if v2 is None else v2)
    legacy = map(_legacy, cgroups.legacy("memory") if v1 is None else v1)
    found = [group for group in (*unified, *legacy) if group and group.total < machine.total]
    least = min(found, key=lambda group: group.free, default=Memory(budget, machine.available, machine.total))
    return Memory(budget, min(machine.available, least.free), least.total)


def _unified(folder: Path) -> Memory | None:
    return _group(folder / "memory.max", folder / "memory.current", "inactive_file")


def _legacy(folder: Path) -> Memory | None:
    return _group(folder / "memory.limit_in_bytes", folder / "memory.usage_in_bytes", "total_inactive_file")


def _group(limit: Path, usage: Path, inactive: str) -> Memory | None:
    """Of a control group; None where it sets no limit.

    Pages of files that are not being used do not count: the kernel takes them back first.
    """
    most = _number(limit)
    if not most:
        return None
    used = (_number(usage) or 0) - _stat(limit.parent, inactive)
    return Memory(0, max(0, most - max(0, used)), most)


def of_process(pid: int) -> int:
    """Bytes that the process `pid` holds in memory; 0: it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def peak_of_process(pid: int) -> int:
    """The most bytes that the process `pid` has held so far; where the kernel does not say, those it holds."""
    words = (line.split() for line in cgroups.read(Path(f"/proc/{pid}/status")).splitlines())
    peak = next((int(each[1]) << 10 for each in words if each and each[0] == "VmHWM:"), 0)
    return peak or of_process(pid)


def _number(path: Path) -> int | None:
    text = cgroups.read(path).strip()
    return int(text) if text.isdecimal() else None


def _stat(folder: Path, name: str) -> int:
    words = (line.split() for line in cgroups.read(folder / "memory.stat").splitlines())
    return next((int(value) for key, value in words if key == name), 0)
