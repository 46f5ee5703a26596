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


def test_the_file_is_the_one_that_is_configured(tmp_path: Path) -> None:
    """Of its size, with as many before it as are kept."""
    log = tmp_path / "log" / "decisions.jsonl"
    for config in (Decisions(to=str(log), max_bytes=2, keep=2), Audit(to=str(log), max_bytes=2, keep=2)):
        sink = events.sink(config)
        for line in "abc":
            sink.write([line])
        assert [Path(f"{log}.{age}").read_text() for age in (1, 2)] == ["c\n", "b\n"]


def test_stderr_gets_one_line_per_event(capsys: pytest.CaptureFixture[str]) -> None:
    """As containers want it."""
    events.sink(Decisions(to="stderr")).write(['{"a":1}', '{"b":2}'])
    assert capsys.readouterr().err == '{"a":1}\n{"b":2}\n'
