"""Memory of the machine, of the control group this process is in, and of a process."""

from __future__ import annotations

from pathlib import Path

import psutil

from router.life.members import Memory

CGROUP_V2 = Path("/sys/fs/cgroup")
CGROUP_V1 = Path("/sys/fs/cgroup/memory")

USUAL_SHARE = 0.8
"""Of what is free, for all workers together."""


def budget(configured: int | None) -> int:
    """Bytes that all workers may take together."""
    return configured or int(USUAL_SHARE * now(0).free)


def now(budget: int, v2: Path = CGROUP_V2, v1: Path = CGROUP_V1) -> Memory:
    """What there is: the machine's, or the control group's where that leaves less."""
    machine = psutil.virtual_memory()
    limit, used = group(v2, v1)
    if limit is None or limit >= machine.total:
        return Memory(budget, machine.available, machine.total)
    return Memory(budget, max(0, min(machine.available, limit - used)), limit)


def group(v2: Path = CGROUP_V2, v1: Path = CGROUP_V1) -> tuple[int | None, int]:
    """Limit of the control group, None where it sets none, and what is used of it.

    Pages of files that are not being used do not count: the kernel takes them back first.
    """
    if limit := _number(v2 / "memory.max"):
        used = (_number(v2 / "memory.current") or 0) - _stat(v2, "inactive_file")
    elif limit := _number(v1 / "memory.limit_in_bytes"):
        used = (_number(v1 / "memory.usage_in_bytes") or 0) - _stat(v1, "total_inactive_file")
    else:
        return None, 0
    return limit, max(0, used)


def of_process(pid: int) -> int:
    """Bytes that the process `pid` holds in memory; 0: it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdecimal() else None


def _stat(folder: Path, name: str) -> int:
    words = (line.split() for line in _read(folder / "memory.stat").splitlines())
    return next((int(value) for key, value in words if key == name), 0)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
