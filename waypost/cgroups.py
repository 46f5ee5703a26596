"""Folders of the control groups of this process: its own first, then those around it, whose limits hold as well.

A container sees its own group as the root of the tree; a service of systemd sees the whole tree and where it is in it.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_MINE = Path("/proc/self/cgroup")


def unified(root: Path = ROOT, mine: Path = _MINE) -> list[Path]:
    """Of the second version, which has one tree."""
    return _around(root, _path(mine, ""))


def legacy(controller: str, root: Path = ROOT, mine: Path = _MINE) -> list[Path]:
    """Of the first version, which has a tree for each controller, such as "cpu" or "memory"."""
    return _around(root / controller, _path(mine, controller))


def read(path: Path) -> str:
    """The text of a file of the kernel; empty where there is none."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _path(mine: Path, controller: str) -> str:
    """What follows the name of `controller` in lines such as "4:cpu,cpuacct:/user.slice"; the unified tree has none."""
    lines = (line.split(":", 2) for line in read(mine).splitlines())
    return next((line[2] for line in lines if len(line) == 3 and controller in line[1].split(",")), "/")


def _around(root: Path, path: str) -> list[Path]:
    own = root / path.strip("/")
    return [each for each in (own, *own.parents) if each.is_relative_to(root) and each.is_dir()]
