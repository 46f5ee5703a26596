"""Which CPUs there are for us, and how much of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost import cgroups, cpus

NOWHERE: tuple[Path, ...] = ()


@pytest.mark.parametrize(("text", "cores"), [("150000 100000\n", 1.5), ("max 100000\n", None)])
def test_the_quota_of_a_cgroup_v2(tmp_path: Path, text: str, cores: float | None) -> None:
    """`max` is no limit."""
    (tmp_path / "cpu.max").write_text(text)
    assert cpus.quota([tmp_path], NOWHERE) == cores


@pytest.mark.parametrize(("granted", "cores"), [("400000", 4.0), ("-1", None)])
def test_the_quota_of_a_cgroup_v1(tmp_path: Path, granted: str, cores: float | None) -> None:
    """-1 is no limit."""
    (tmp_path / "cpu.cfs_quota_us").write_text(granted)
    (tmp_path / "cpu.cfs_period_us").write_text("100000\n")
    assert cpus.quota(NOWHERE, [tmp_path]) == cores


def test_the_quota_of_a_service_is_the_least_of_its_groups(tmp_path: Path) -> None:
    """A slice around it may grant less than it does itself."""
    own = tmp_path / "system.slice" / "waypost.service"
    own.mkdir(parents=True)
    (own / "cpu.max").write_text("max 100000\n")
    (own.parent / "cpu.max").write_text("200000 100000\n")
    (tmp_path / "said").write_text("4:cpu,cpuacct:/elsewhere\n0::/system.slice/waypost.service\n")
    around = cgroups.unified(tmp_path, tmp_path / "said")
    assert around == [own, own.parent, tmp_path]
    assert cpus.quota(around, NOWHERE) == 2.0
    assert cgroups.legacy("cpuacct", tmp_path, tmp_path / "said") == []


def test_without_cgroups_the_affinity_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a quota of less than one core is one."""
    monkeypatch.setattr(cpus.os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    assert cpus.quota(NOWHERE, NOWHERE) is None
    monkeypatch.setattr(cpus, "quota", lambda: None)
    assert cpus.available() == 3
    monkeypatch.setattr(cpus, "quota", lambda: 0.5)
    assert cpus.available() == 1


@pytest.mark.parametrize(("text", "found"), [("0-3,6", (0, 1, 2, 3, 6)), ("2", (2,)), ("4, 1-2", (1, 2, 4))])
def test_a_list_of_cpus(text: str, found: tuple[int, ...]) -> None:
    """As the kernel writes it."""
    assert cpus.parsed(text) == found


@pytest.mark.parametrize("text", ["", "3-1", "a", "1,,2", "-1", "1-", "0x2", "1-2-3", "1.5", "0-9999999999"])
def test_what_is_no_list_of_cpus(text: str) -> None:
    """The error shows one."""
    with pytest.raises(ValueError, match="0-3,6"):
        cpus.parsed(text)


@given(st.sets(st.integers(0, 200), min_size=1))
def test_a_list_is_shown_as_it_is_read(found: set[int]) -> None:
    """In its shortest form."""
    assert cpus.parsed(cpus.shown(found)) == tuple(sorted(found))


PINNED = """
import json, os, threading
from waypost import cpus
cpus.pin({%d}, 1)
import numpy
threads = len(os.listdir("/proc/self/task"))
found = []
thread = threading.Thread(target=lambda: found.append(sorted(os.sched_getaffinity(0))))
thread.start()
thread.join()
print(json.dumps([found[0], cpus.available(), os.environ["OMP_NUM_THREADS"], threads]))
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="NOT RUN: this system has no affinity")
def test_a_pinned_process_and_its_threads_stay_where_they_are_put() -> None:
    """Libraries that are loaded afterwards start no more threads than they are told."""
    last = cpus.mine()[-1]
    env = {name: value for name, value in os.environ.items() if name not in cpus.LIBRARIES}
    command = (sys.executable, "-P", "-c", PINNED % last)
    told = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    assert json.loads(told.stdout) == [[last], 1, "1", 1]
