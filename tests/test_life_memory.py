"""What is free, what a process takes, and what is kept of what was learned."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from router.life import memory
from router.life.learned import BASE_BYTES, FILES, Learned, Notebook, guess, key
from router.life.members import Memory
from waypost.config import Model, Worker
from waypost.v1 import mesh_pb2

NOWHERE: tuple[Path, ...] = ()
GIB = 1 << 30


def group(folder: Path, **files: int | str) -> Path:
    """A folder as the kernel shows a control group."""
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")
    return folder


def test_without_a_control_group_it_is_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that sets no limit is none."""
    machine = psutil.virtual_memory()
    found = memory.now(5, NOWHERE, NOWHERE)
    assert (found.budget, found.total) == (5, machine.total)


def test_a_control_group_that_leaves_less_counts(tmp_path: Path) -> None:
    """Pages of files that nobody uses are free."""
    v2 = group(tmp_path, memory__max=64 << 20, memory__current=50 << 20, memory__stat=f"inactive_file {20 << 20}")
    assert memory.now(5, [v2], NOWHERE) == Memory(5, 34 << 20, 64 << 20)


def test_groups_around_it_count_as_well(tmp_path: Path) -> None:
    """The one that leaves the least."""
    inner, outer = tmp_path / "inner", tmp_path
    inner.mkdir()
    group(inner, memory__max=64 << 20, memory__current=10 << 20)
    group(outer, memory__max=128 << 20, memory__current=120 << 20)
    assert memory.now(0, [inner, outer], NOWHERE) == Memory(0, 8 << 20, 128 << 20)


def test_the_first_kind_of_control_groups_counts_as_well(tmp_path: Path) -> None:
    """Under its own names; one without a limit is none."""
    files = {"memory__limit_in_bytes": 64 << 20, "memory__usage_in_bytes": 10 << 20}
    v1 = group(tmp_path, **files)
    (tmp_path / "unlimited").mkdir()
    v2 = group(tmp_path / "unlimited", memory__max="max")
    assert memory.now(0, [v2], [v1]) == Memory(0, 54 << 20, 64 << 20)
    assert memory.now(0, [v2], NOWHERE).total == psutil.virtual_memory().total


def test_memory_of_a_process() -> None:
    """0 where it is gone."""
    assert memory.of_process(os.getpid()) > 1 << 20
    assert memory.of_process(1 << 30) == memory.peak_of_process(1 << 30) == 0
    assert memory.peak_of_process(os.getpid()) >= memory.of_process(os.getpid()) - (1 << 20)


def worker(**more: object) -> Worker:
    return Worker.model_validate({"name": "w", "models": [{"name": "m", "backend": "hash"}]} | more)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Waypost's home."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def described() -> mesh_pb2.DescribeInstanceResponse:
    return mesh_pb2.DescribeInstanceResponse(instance="w-0", version="1")


def test_what_was_learned_is_known_the_next_time(home: Path) -> None:
    """Until the worker serves something else; how it lives does not matter."""
    book = Notebook(worker())
    assert book.read() == Learned(BASE_BYTES)
    book.write(book.read().ran(2.0, 77, described()))
    known = Notebook(worker(replicas=3, start="demand", idle_s=5.0)).read()
    assert (known.memory, known.start_s) == (77, 2.0)
    assert known.description("w-2") == mesh_pb2.DescribeInstanceResponse(instance="w-2", version="1")
    assert Notebook(worker(vector_cache=7)).read().description("w-0") is None
    assert Notebook(worker(memory_bytes=500)).read().memory == 500


def test_a_broken_file_is_no_obstacle(home: Path) -> None:
    """It is learned again."""
    (home / "life").mkdir(parents=True)
    (home / "life" / f"w-{key(worker())}.json").write_text('{"memory": 3')
    assert Notebook(worker()).read() == Learned(BASE_BYTES)


def test_the_most_that_was_seen_is_kept() -> None:
    """A guess is not."""
    first = Learned(1000).ran(2.0, 77, described())
    assert [first.memory, first.ran(3.0, 60, described()).memory, first.ran(3.0, 90, described()).memory] == [
        77,
        77,
        90,
    ]


def test_how_long_it_usually_takes_to_start_and_the_most_its_last_start_took() -> None:
    """One start beside others on a busy machine says little; a first start may convert."""
    first = Learned(1000).ran(2.0, 77, described(), peak=200)
    assert (first.start_s, first.peak) == (2.0, 200)
    second = first.ran(10.0, 77, described(), peak=90)
    assert (second.start_s, second.peak) == (6.0, 90)


def test_a_worker_that_never_ran_takes_what_its_files_let_expect(tmp_path: Path) -> None:
    """And a base."""
    (tmp_path / "model.onnx").write_bytes(b"0" * 1000)
    model = Model.model_validate({"name": "m", "source": str(tmp_path)})
    assert guess(Worker(name="w", models=(model,))) == BASE_BYTES + int(FILES * 1000)
