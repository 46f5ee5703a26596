"""The record of changes and refusals: from the router to the file, and to whoever reads it."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from router import audit, events
from tests.commands import Run
from waypost import logfile
from waypost.config import Audit

NOW = datetime(2026, 1, 22, 12, tzinfo=UTC)
ACME = {"tenant": "acme", "role": "infer", "token": "1f0c9a2e"}
ROOT = {"tenant": None, "role": "admin", "token": None}


def line(ago_s: float = 0.0, **said: Any) -> str:
    """A line as the router writes it."""
    usual = {
        "event": "audit",
        "timestamp": (NOW - timedelta(seconds=ago_s)).isoformat().replace("+00:00", "Z"),
        "from": "127.0.0.1:4711",
        "door": "front",
        "who": ROOT,
        "method": "/waypost.v1.MeshService/CreateToken",
        "outcome": "OK",
        "detail": "token 1f0c9a2e",
    }
    return json.dumps(usual | said)


LINES = (
    line(90.0, who=ROOT),
    line(
        60.0, who=ACME, method="/waypost.v1.MeshService/SetRollout", outcome="PERMISSION_DENIED", detail="needs operate"
    ),
    line(30.0, who=None, method="/waypost.v1.EmbedService/Embed", outcome="UNAUTHENTICATED", detail="no key was sent"),
)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log in Waypost's home, with the oldest line in the generation before."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path / "home"))
    path = tmp_path / "home" / "log" / "audit.jsonl"
    path.parent.mkdir(parents=True)
    Path(f"{path}.1").write_text(f"{LINES[0]}\n")
    path.write_text(f"{LINES[1]}\n{LINES[2]}\n")
    return path


class FakeCore:
    """Hands out what it was given."""

    def __init__(self, *batches: list[str], dropped: int = 0) -> None:
        self._batches = list(batches)
        self._dropped = dropped

    def dropped_audits(self) -> int:
        return self._dropped

    def next_audits(self, max: int, timeout_s: float) -> list[str]:
        return self._batches.pop(0) if self._batches else []


def test_what_is_left_at_the_end_is_written(tmp_path: Path) -> None:
    """Stopping loses nothing; the file is this user's alone."""
    stop = threading.Event()
    stop.set()
    path = tmp_path / "log" / "audit.jsonl"
    audit.drain(FakeCore(["1", "2"], ["3"]), events.sink(Audit(to=str(path)), "audit"), stop)
    assert path.read_text() == "1\n2\n3\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_lost_is_said(tmp_path: Path) -> None:
    """With the number of lines, be it for a full disk or because nobody took them in time."""

    class Full:
        def write(self, lines: list[str]) -> None:
            raise OSError("No space left on device")

    stop = threading.Event()
    stop.set()
    with capture_logs() as logs:
        audit.drain(FakeCore(["1", "2"], dropped=3), Full(), stop)
    assert [(each["event"], each["audits"]) for each in logs] == [("audits not written", 2), ("audits dropped", 3)]


WANTED: list[tuple[dict[str, Any], str]] = [
    ({}, "012"),
    ({"who": "acme"}, "1"),
    ({"who": "1f0c9a2e"}, "1"),
    ({"who": "admin"}, "0"),
    ({"method": "rollout"}, "1"),
    ({"outcome": "unauthenticated"}, "2"),
    ({"since": NOW - timedelta(seconds=60)}, "12"),
    ({"since": NOW - timedelta(seconds=60), "outcome": "OK"}, ""),
]


@pytest.mark.parametrize(("wanted", "found"), WANTED, ids=[str(list(wanted)) for wanted, _ in WANTED])
def test_lines_are_found_by_who_what_when_and_how(log: Path, wanted: dict[str, Any], found: str) -> None:
    """Across generations, the oldest first."""
    assert [LINES.index(json.dumps(each)) for each in logfile.last(log, audit.Wanted(**wanted))] == list(
        map(int, found)
    )


def test_the_command_shows_refusals_and_changes(run: Run, log: Path) -> None:
    """Who, what, from where, and how it ended."""
    shown = run("audit").out
    for words in ("acme", "1f0c9a2e", "MeshService/SetRollout", "PERMISSION_DENIED", "needs operate", "127.0.0.1:4711"):
        assert words in shown
    assert shown.index("CreateToken") < shown.index("SetRollout") < shown.index("Embed")


def test_the_command_filters_and_counts(run: Run, log: Path) -> None:
    """In JSON the lines are as they were written."""
    assert run("audit", "--json").json == [json.loads(each) for each in LINES]
    assert run("audit", "--json", "--last", "1").json == [json.loads(LINES[2])]
    assert run("audit", "--json", "--who", "acme", "--file", str(log)).json == [json.loads(LINES[1])]
    assert run("audit", "--json", "--since", "1s").json == []


def test_texts_of_callers_are_no_commands_of_the_terminal(run: Run, log: Path) -> None:
    """Whatever a name has in it."""
    log.write_text(line(detail="\x1b]0;mine\x07") + "\n")
    assert "\x1b" not in run("audit").out


def test_without_a_log_the_command_says_where_it_looked(run: Run, tmp_path: Path) -> None:
    """It is on the router's machine."""
    done = run("audit", "--file", str(tmp_path / "none.jsonl"))
    assert (done.code, done.out) == (1, "")
    assert "no audit log" in done.err
