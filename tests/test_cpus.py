"""How many cores there are for us."""

from __future__ import annotations

from pathlib import Path

import pytest

from waypost import cpus

NOWHERE = Path("/nonexistent")


@pytest.mark.parametrize(("text", "cores"), [("150000 100000\n", 1.5), ("max 100000\n", None)])
def test_the_quota_of_a_cgroup_v2(tmp_path: Path, text: str, cores: float | None) -> None:
    """`max` is no limit."""
    path = tmp_path / "cpu.max"
    path.write_text(text)
    assert cpus.quota(path, NOWHERE) == cores


@pytest.mark.parametrize(("granted", "cores"), [("400000", 4.0), ("-1", None)])
def test_the_quota_of_a_cgroup_v1(tmp_path: Path, granted: str, cores: float | None) -> None:
    """-1 is no limit."""
    (tmp_path / "cpu.cfs_quota_us").write_text(granted)
    (tmp_path / "cpu.cfs_period_us").write_text("100000\n")
    assert cpus.quota(NOWHERE, tmp_path) == cores


def test_without_cgroups_the_affinity_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a quota of less than one core is one."""
    monkeypatch.setattr(cpus.os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    assert cpus.quota(NOWHERE, NOWHERE) is None
    monkeypatch.setattr(cpus, "quota", lambda: None)
    assert cpus.available() == 3
    monkeypatch.setattr(cpus, "quota", lambda: 0.5)
    assert cpus.available() == 1
