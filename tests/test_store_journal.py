"""The journal: what it has taken is there, in order, once, whatever ends the process."""

from __future__ import annotations

import errno
import os
import resource
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from router.store import journal as journals
from router.store.journal import Journal, open_journals, waiting
from tests.stores import PLENTY, journal


def read(found: Journal, position: int = 0, most: int = 1000) -> list[str]:
    """All lines from there on."""
    lines = []
    while True:
        entries, end = found.read(position, most)
        if end == position:
            return lines
        lines += [f"{entry.kind}{entry.line.decode()}" for entry in entries]
        position = end


@contextmanager
def room_for(more: int) -> Iterator[None]:
    """Files of this process may be so many bytes larger than "cbefore" and its end."""
    limits, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len("cbefore\n") + more, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)


def crashed(root: Path, *lines: str, torn: str = "") -> str:
    """Leaves the journal of a process that is gone, in the middle of a write; its name."""
    own, _ = open_journals(root, PLENTY)
    own.append("c", lines)
    if torn:
        (file,) = (root / own.name).glob("*.lines")
        with file.open("a") as half:
            half.write(torn)
    own.close()
    return own.name


def test_lines_are_read_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    """With their kinds; positions say where each begins."""
    with journal(tmp_path) as own:
        assert own.append("c", ['{"a":1}', '{"b":2}']) == [0, 9]
        assert own.append("t", ['{"ü":3}']) == [18]
        assert read(own) == ['c{"a":1}', 'c{"b":2}', 't{"ü":3}']
        assert read(own, 9) == ['c{"b":2}', 't{"ü":3}']


def test_what_is_done_leaves_the_disk(tmp_path: Path) -> None:
    """At once where that is asked for; a small file that is still written stays a while."""
    with journal(tmp_path) as own:
        own.append("c", ["secret"])
        own.done(own.end)
        assert own.size > 0
        own.done(own.end, tidy=True)
        assert waiting(tmp_path) == {own.name: 0}
        assert own.append("c", ["next"]) == [8]
        assert read(own, 8) == ["cnext"]


def test_a_full_journal_takes_no_more_and_counts(tmp_path: Path) -> None:
    """Until what is in it was done with."""
    with journal(tmp_path, max_bytes=20) as own:
        assert own.append("c", ["0123456789"]) == [0]
        assert own.append("c", ["0123456789", "0"]) == []
        assert own.lost == 2
        own.done(own.end, tidy=True)
        assert own.append("c", ["0123456789"]) == [12]


def test_what_others_left_counts(tmp_path: Path) -> None:
    """All journals together stay within the bound."""
    crashed(tmp_path, "0123456789")
    own, (left,) = open_journals(tmp_path, 20)
    assert (own.append("c", ["0123456789"]), own.lost) == ([], 1)
    left.close()
    own.close()


def test_half_a_line_is_passed_over(tmp_path: Path) -> None:
    """Nobody was told that it was kept."""
    crashed(tmp_path, "whole", torn='c{"half')
    own, (left,) = open_journals(tmp_path, PLENTY)
    assert read(left) == ["cwhole"]
    left.close()
    own.close()


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines after it are as whole as those before."""
    with journal(tmp_path) as own:
        own.append("c", ["before"])
        with room_for(2):
            assert (own.append("c", ["lost"]), own.lost) == ([], 1)
        own.append("c", ["after"])
        assert read(own) == ["cbefore", "cafter"]


def test_what_is_synced_was_on_disk_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All files that were written since, and their names; what is appended meanwhile is for the next time."""
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 1)
    synced, syncing = [], os.fdatasync

    def noted(file: int) -> None:
        synced.append(Path(f"/proc/self/fd/{file}").readlink().name)
        syncing(file)

    monkeypatch.setattr(os, "fdatasync", noted)
    with journal(tmp_path) as own:
        own.append("c", ["one"])
        own.append("c", ["two"])
        assert (own.synced, synced) == (0, [])
        own.sync()
        assert (own.synced, synced) == (own.end, [f"{start:020d}.lines" for start in (0, 5)])


def test_a_disk_that_fails_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are in the system's memory still, and are read."""

    def fails(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    own, _ = open_journals(tmp_path, PLENTY)
    own.append("c", ["before"])
    monkeypatch.setattr(os, "fdatasync", fails)
    with capture_logs() as logs:
        own.close()
    assert [each["event"] for each in logs] == ["journal not synced"]
    monkeypatch.undo()
    own, (left,) = open_journals(tmp_path, PLENTY)
    assert read(left) == ["cbefore"]
    left.close()
    own.close()


def test_a_line_longer_than_a_piece_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts may be long."""
    monkeypatch.setattr(journals, "PIECE_BYTES", 10)
    with journal(tmp_path) as own:
        own.append("t", ["x" * 100, "short", "y" * 30])
        assert read(own) == [f"t{'x' * 100}", "tshort", f"t{'y' * 30}"]


def test_the_journal_of_a_process_that_lives_is_left_alone(tmp_path: Path) -> None:
    """Two routers of one home; each has its own."""
    with journal(tmp_path) as first:
        second, left = open_journals(tmp_path, PLENTY)
        assert left == []
        assert second.name != first.name
        second.close()


def test_old_files_are_forgotten_whether_read_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a database is away for longer than rows are kept; what is being written stays."""
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 1)
    with journal(tmp_path) as own:
        own.append("c", ["old"])
        own.append("c", ["new"])
        for path in (tmp_path / own.name).glob("*.lines"):
            os.utime(path, (1, 1))
        own.forget(before=2.0)
        assert read(own) == ["cnew"]


Step = st.one_of(
    st.tuples(st.just("append"), st.lists(st.text(st.characters(exclude_characters="\n"), max_size=30), max_size=4)),
    st.tuples(st.just("read"), st.integers(1, 5)),
    st.tuples(st.just("done"), st.booleans()),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(Step, max_size=30), st.integers(1, 60))
def test_every_line_is_read_once_and_in_order(steps: list[tuple[str, object]], segment: int) -> None:
    """However appending, reading and tidying follow each other, and however long the files are."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(journals, "SEGMENT_BYTES", segment)
        with journal(Path(folder)) as own:
            written, seen, position = [], [], 0
            for what, how in steps:
                if what == "append":
                    assert isinstance(how, list)
                    own.append("c", how)
                    written += how
                elif what == "read":
                    entries, position = own.read(position, int(str(how)))
                    seen += [entry.line.decode() for entry in entries]
                else:
                    own.done(position, tidy=bool(how))
            assert seen + [line[1:] for line in read(own, position)] == written
