"""Instance lists: static, from a file, and from a file that changes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from router import registry

PATIENCE_S = 10.0


def test_a_file_has_one_address_a_line(tmp_path: Path) -> None:
    """Comments and empty lines are nothing."""
    path = tmp_path / "instances"
    path.write_text("# ours\n127.0.0.1:50061\n\nunix:/run/a.sock  # the fast one\n")
    assert registry.read(path) == ["127.0.0.1:50061", "unix:/run/a.sock"]


def test_a_missing_file_is_an_empty_list(tmp_path: Path) -> None:
    """Whoever writes it may come later."""
    assert registry.read(tmp_path / "instances") == []


def test_a_line_that_is_no_address_is_named(tmp_path: Path) -> None:
    """File, line and text are in the message."""
    path = tmp_path / "instances"
    path.write_text("127.0.0.1:50061\nnowhere\n")
    with pytest.raises(registry.InvalidInstanceList, match=r"instances, line 2: 'nowhere'"):
        registry.read(path)


def test_an_address_in_both_lists_counts_once() -> None:
    """The static list comes first."""
    assert registry.combined(["a:1", "b:1"], ["b:1", "c:1"]) == ["a:1", "b:1", "c:1"]


class Watched:
    """A watched file with what its watcher reported."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reports: queue.Queue[list[str]] = queue.Queue()
        self.stop = threading.Event()

    def watch(self) -> None:
        registry.watch(self.path, [], self.reports.put, self.stop)

    def write_until_seen(self, text: str) -> list[str]:
        """Writes the file until the watcher reports: a watch set up a moment later misses the first write."""
        for _ in range(100):
            self.path.write_text(text)
            try:
                return self.reports.get(timeout=PATIENCE_S / 100)
            except queue.Empty:
                continue
        raise AssertionError("the change was not seen")


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path / "instances")
    thread = threading.Thread(target=watched.watch)
    thread.start()
    yield watched
    watched.stop.set()
    thread.join()


def test_changes_of_the_file_are_seen(watched: Watched) -> None:
    """Also when the file is replaced by another."""
    assert watched.write_until_seen("a:1\n") == ["a:1"]
    other = watched.path.with_suffix(".new")
    other.write_text("a:1\nb:1\n")
    other.replace(watched.path)
    assert watched.reports.get(timeout=PATIENCE_S) == ["a:1", "b:1"]


def test_a_broken_file_changes_nothing(watched: Watched) -> None:
    """The list before it stays until the file makes sense again."""
    watched.write_until_seen("a:1\n")
    watched.path.write_text("not an address\n")
    assert watched.write_until_seen("b:1\n") == ["b:1"]
    assert watched.reports.empty()
