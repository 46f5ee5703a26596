"""Prints a bench's rows as a Markdown table, ready for bench/README.md, and what was measured on."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

from waypost import _core, cpus


def show(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints one table."""
    print(f"\n### {title}\n")
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(_cell(value) for value in row) + " |")


def machine() -> str:
    """One line that says what a figure was measured on."""
    return f"{_cpu()}, {cpus.available()} cores, Python {platform.python_version()}, core {_core.build_profile}"


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    flags = info.read_text() if info.exists() else ""
    widest = "AVX-512 VNNI" if "avx512_vnni" in flags else "AVX2, no VNNI" if "avx2" in flags else "no AVX2"
    return f"{cpus.processor()} ({widest})"
