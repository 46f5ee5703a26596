"""Decision events on their way from the ring to lines of JSON."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from router import events
from waypost.config import Audit, Decisions


class FakeRing:
    """Hands out what it was given, in the batches it was given."""

    def __init__(self, *batches: list[str], dropped: int = 0) -> None:
        self._batches = list(batches)
        self._dropped = dropped

    def next_events(self, max: int, timeout_s: float) -> list[str]:
        return self._batches.pop(0) if self._batches else []

    def dropped_events(self) -> int:
        return self._dropped


class Kept:
    """A sink that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, lines: list[str]) -> None:
        self.lines += lines


def stopped() -> threading.Event:
    """An event that is set already: drain what there is and return."""
    stop = threading.Event()
    stop.set()
    return stop


def test_what_is_left_at_the_end_is_written() -> None:
    """Stopping does not lose events."""
    sink = Kept()
    events.drain(FakeRing(["1", "2"], ["3"]), sink, stopped())
    assert sink.lines == ["1", "2", "3"]


def test_lost_events_are_reported_once() -> None:
    """With their number."""
    with capture_logs() as logs:
        events.drain(FakeRing(["1"], dropped=7), Kept(), stopped())
    assert [(each["event"], each["events"]) for each in logs] == [("events dropped", 7)]


def test_a_sink_that_fails_does_not_stop_the_others() -> None:
    """A full disk is reported; the drain goes on."""

    class Full(Kept):
        def write(self, lines: list[str]) -> None:
            super().write(lines)
            raise OSError("No space left on device")

    sink = Full()
    with capture_logs() as logs:
        events.drain(FakeRing(["1"], ["2"]), sink, stopped())
    assert sink.lines == ["1", "2"]
    assert {each["event"] for each in logs} == {"events not written"}


def test_the_file_is_kept_within_its_size(tmp_path: Path) -> None:
    """At the limit it becomes `.1`, and a new one begins."""
    sink = events.sink(Decisions(to=str(tmp_path / "log" / "decisions.jsonl"), max_bytes=4))
    for line in ("a", "b", "c"):
        sink.write([line])
    assert (tmp_path / "log" / "decisions.jsonl").read_text() == "c\n"
    assert (tmp_path / "log" / "decisions.jsonl.1").read_text() == "a\nb\n"


def test_as_many_generations_are_kept_as_is_asked_for(tmp_path: Path) -> None:
    """The oldest goes."""
    log = tmp_path / "audit.jsonl"
    sink = events.sink(Audit(to=str(log), max_bytes=1, keep=3))
    for line in "abcde":
        sink.write([line])
    assert [Path(f"{log}.{age}").read_text() for age in (1, 2, 3)] == ["e\n", "d\n", "c\n"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.jsonl.1", "audit.jsonl.2", "audit.jsonl.3"]


def test_only_its_user_reads_a_log(tmp_path: Path) -> None:
    """Also one that others could read before."""
    log = tmp_path / "decisions.jsonl"
    log.touch(0o644)
    for name in ("decisions.jsonl", "new.jsonl"):
        events.sink(Decisions(to=str(tmp_path / name))).write(["a"])
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_stderr_gets_one_line_per_event(capsys: pytest.CaptureFixture[str]) -> None:
    """As containers want it."""
    events.sink(Decisions(to="stderr")).write(['{"a":1}', '{"b":2}'])
    assert capsys.readouterr().err == '{"a":1}\n{"b":2}\n'
