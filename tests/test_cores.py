"""Who runs on which CPUs, and with how many threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway import MESH, Up
from waypost import config, cpus
from waypost.config import Config, ConfigError
from waypost.cores import Cores

MODELS = [{"name": "m", "backend": "hash"}]
EIGHT = range(8)


def loaded(*workers: dict[str, Any]) -> Config:
    named = [{"name": f"w{i}", "models": MODELS} | worker for i, worker in enumerate(workers)]
    return config.check({"workers": named}, base=Path.cwd(), origin="test")


def placed(*workers: dict[str, Any], count: int = 8) -> list[str]:
    """CPUs and threads of each process, such as "0-3 4"."""
    file = loaded(*workers)
    cores = Cores(file, EIGHT, count)
    each = [(worker, replica) for worker in file.workers for replica in range(worker.replicas)]
    return [f"{cpus.shown(cores.of(*one))} {cores.threads(*one)}" for one in each]


def test_without_pins_all_divide_all() -> None:
    """Each may run everywhere."""
    assert placed({}, {"replicas": 2}) == ["0-7 2"] * 3
    assert placed({}, {"sessions": 5}) == ["0-7 4", "0-7 5"]


def test_who_has_cpus_for_himself_has_them_alone() -> None:
    """Those who say how many get what those leave who say which; the others the rest."""
    assert placed({}, {"cpus": 2}, {"cpus": "0-1,7"}, {}) == ["4-6 1", "2-3 2", "0-1,7 3", "4-6 1"]


def test_replicas_divide_the_cpus_of_their_worker() -> None:
    """Where there are fewer than processes, all run on all."""
    assert placed({"cpus": "0-4", "replicas": 2}) == ["0-1 2", "2-4 2"]
    assert placed({"cpus": 2, "replicas": 3}) == ["0-1 1"] * 3


def test_where_nothing_is_left_the_others_run_everywhere() -> None:
    """They must run somewhere."""
    assert placed({"cpus": 8}, {}) == ["0-7 8", "0-7 8"]


def test_a_quota_is_not_passed() -> None:
    """Eight CPUs, for three cores' worth of time."""
    assert placed({}, count=3) == ["0-7 3"]
    assert placed({"cpus": 2}, {}, count=3) == ["0-1 2", "2-7 1"]


def test_those_on_demand_divide_by_who_runs() -> None:
    """And not by all there could be."""
    file = loaded({}, *[{"start": "demand", "replicas": 2}] * 3)
    cores = Cores(file, EIGHT, 8)
    assert cores.least_beside() == 2
    assert [cores.threads(file.workers[1], beside=beside) for beside in (2, 3, 4, 9)] == [4, 2, 2, 1]
    assert cores.threads(file.workers[1]) == 1


def test_what_the_machine_does_not_have_is_a_problem() -> None:
    """All are said at once; a worker alone has only its own."""
    file = loaded({"cpus": "6-9"}, {"cpus": 7}, {})
    cores = Cores(file, EIGHT, 8)
    with pytest.raises(ConfigError) as caught:
        cores.require()
    assert [str(each) for each in caught.value.problems] == [
        'workers[0].cpus = "6-9": not all on this machine, which has 0-7 for us; '
        "list those that are there, or leave it out",
        "workers[1].cpus = 7: more than the 6 that are left of 8; use fewer, or leave it out",
    ]
    cores.require(file.workers[2])


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("3-1", 'workers[0].cpus = "3-1": not a list of CPUs; write such as "0-3,6"'),
        (0, 'workers[0].cpus = 0: not CPUs; write how many, such as 2, or which, such as "0-3,6"'),
        (True, 'workers[0].cpus = true: not CPUs; write how many, such as 2, or which, such as "0-3,6"'),
    ],
)
def test_what_are_no_cpus(said: Any, wrong: str) -> None:
    """The problem shows what would be."""
    with pytest.raises(ConfigError) as caught:
        loaded({"cpus": said})
    assert list(map(str, caught.value.problems)) == [wrong]


def test_cpus_belong_to_one_worker() -> None:
    """The problem names both."""
    with pytest.raises(ConfigError) as caught:
        loaded({"cpus": "0-3"}, {"cpus": "2-5"})
    assert list(map(str, caught.value.problems)) == [
        'workers[1].cpus = "2-5": 2-3 also listed by workers[0]; give each worker its own'
    ]


WORKERS = st.lists(
    st.fixed_dictionaries({}, optional={"cpus": st.integers(1, 9), "replicas": st.integers(1, 4)}),
    min_size=1,
    max_size=5,
)


@given(WORKERS, st.integers(1, 16))
def test_whatever_is_asked_for(workers: list[dict[str, Any]], machine: int) -> None:
    """What the machine has is given once; every process that may start has CPUs and threads."""
    file = loaded(*workers)
    cores = Cores(file, range(machine), machine)
    owned = [worker for worker in file.workers if worker.cpus is not None]
    if cores.problems():
        assert sum(int(worker.cpus or 0) for worker in owned) > machine
        return
    given = [set().union(*(cores.of(worker, i) for i in range(worker.replicas))) for worker in owned]
    assert sum(map(len, given)) == len(set().union(*given))
    for worker in file.workers:
        for replica in range(worker.replicas):
            assert cores.of(worker, replica) and 1 <= cores.threads(worker, replica) <= machine


@pytest.mark.skipif(len(cpus.mine()) < 2, reason="NOT RUN: one CPU cannot be divided")
@pytest.mark.timeout(120)
def test_processes_of_a_mesh_run_where_they_are_put(tmp_path: Path) -> None:
    """With all their threads, and the others elsewhere."""
    last = str(cpus.mine()[-1])
    pinned = f'[[workers]]\nname = "pinned"\ncpus = "{last}"\nmodels = [{{ name = "n", backend = "hash" }}]\n'
    with Up(tmp_path, MESH + pinned) as up:
        found = {_name(each): _threads(each) for each in psutil.Process(up.popen.pid).children()}
        assert found["pinned"] == {last}
        assert found["local"] == {cpus.shown(cpus.mine()[:-1])}


def _name(process: psutil.Process) -> str:
    command = process.cmdline()
    return command[command.index("--name") + 1] if "--name" in command else ""


def _threads(process: psutil.Process) -> set[str]:
    """Where its threads may run."""
    return {cpus.shown(psutil.Process(thread.id).cpu_affinity()) for thread in process.threads()}
