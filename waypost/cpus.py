"""How many cores this process may use: the smaller of its affinity mask and its cgroup's quota.

Containers limit CPU by quota, which `os.cpu_count` does not see; threads beyond the quota only get throttled.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1 = Path("/sys/fs/cgroup/cpu")


def available() -> int:
    """Whole cores, at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(quota() or cores)))


def processor() -> str:
    """The CPU's own name, where the system tells it."""
    named = [line.partition(":")[2].strip() for line in _read(_CPUINFO).splitlines() if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def quota(v2: Path = _CGROUP_V2, v1: Path = _CGROUP_V1) -> float | None:
    """Cores' worth of time the cgroup grants; None where it sets no limit."""
    words = _read(v2).split() or [_read(v1 / "cpu.cfs_quota_us").strip(), _read(v1 / "cpu.cfs_period_us").strip()]
    if not all(word.isdecimal() for word in words):
        return None
    granted, period = map(int, words)
    return granted / period


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
