"""Logs of processes: lines of JSON that say whose they are, kept within their size, with a level that may change."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.plane import Plane, eventually
from waypost import Client, config, telemetry
from waypost.config import ConfigError, Telemetry


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging is the process's: the next test finds it as it was."""
    monkeypatch.delenv("WAYPOST_LOG_LEVEL", raising=False)
    monkeypatch.delenv("WAYPOST_LOG", raising=False)
    before = sys.excepthook, threading.excepthook, list(logging.getLogger().handlers)
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    telemetry.set_level("info")
    sys.excepthook, threading.excepthook, logging.getLogger().handlers = before


def lines(text: str) -> list[dict[str, Any]]:
    """What was written, line by line."""
    return [json.loads(each) for each in text.splitlines()]


def test_every_line_says_whose_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Also those of loggers that were made before, in other modules; a process alone is its own instance."""
    early = structlog.get_logger()
    telemetry.configure("worker", "local-0")
    early.info("calibrated", model="m")
    telemetry.configure("router")
    structlog.get_logger().warning("instances changed")
    first, second = lines(capsys.readouterr().err)
    assert {key: first[key] for key in ("process", "instance", "event", "level", "model")} == {
        "process": "worker",
        "instance": "local-0",
        "event": "calibrated",
        "level": "info",
        "model": "m",
    }
    assert first["timestamp"].endswith("Z")
    assert (second["process"], second["instance"], second["level"]) == ("router", "router", "warning")


def test_what_concerns_a_request_says_which(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever answers it binds its ids; every line below has them, and none after."""
    telemetry.configure("http")
    log = structlog.get_logger()
    with structlog.contextvars.bound_contextvars(request_id="a1", trace_id="4bf9"):
        log.error("failed")
    log.info("ready")
    first, second = lines(capsys.readouterr().err)
    assert (first["request_id"], first["trace_id"]) == ("a1", "4bf9")
    assert {"request_id", "trace_id"}.isdisjoint(second)


def test_the_level_changes_for_loggers_that_are_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    """They are kept once they were used."""
    telemetry.configure("router")
    log = structlog.get_logger()
    for level in ("info", "debug", "error"):
        telemetry.set_level(level)
        for say in (log.debug, log.info, log.warning, log.error):
            say(level)
    said = [(each["event"], each["level"]) for each in lines(capsys.readouterr().err)]
    assert said == [
        *(("info", each) for each in ("info", "warning", "error")),
        *(("debug", each) for each in ("debug", "info", "warning", "error")),
        ("error", "error"),
    ]


@pytest.mark.parametrize(
    ("configured", "environment", "level"),
    [("info", None, "info"), ("warning", None, "warning"), ("warning", "DEBUG", "debug"), ("error", "", "error")],
)
def test_the_environment_goes_before_the_configuration(
    monkeypatch: pytest.MonkeyPatch, configured: Any, environment: str | None, level: str
) -> None:
    """For whoever looks for an error; the plane is told the same."""
    if environment is not None:
        monkeypatch.setenv("WAYPOST_LOG_LEVEL", environment)
    settings = Telemetry(log_level=configured)
    telemetry.configure("router", settings=settings)
    assert telemetry._threshold.level == telemetry.LEVELS[level]
    assert settings.core()["log_level"] == level


def test_a_file_is_kept_within_its_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One for each process, in the folder that is named; nothing goes to stderr."""
    settings = Telemetry(log=f"{tmp_path}/logs", log_max_bytes=1000, log_keep=2)
    telemetry.configure("worker", "w-1", settings)
    for number in range(50):
        structlog.get_logger().info("tried", number=number)
    files = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert files == ["w-1.jsonl", "w-1.jsonl.1", "w-1.jsonl.2"]
    kept = [each for name in files[:0:-1] + files[:1] for each in lines((tmp_path / "logs" / name).read_text())]
    assert [each["number"] for each in kept] == list(range(50 - len(kept), 50))
    assert all((tmp_path / "logs" / name).stat().st_size <= 1200 for name in files)
    assert capsys.readouterr().err == ""


def test_a_file_may_be_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the decision log."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path))
    telemetry.configure("router", settings=Telemetry(log="file"))
    structlog.get_logger().info("ready")
    assert lines((tmp_path / "log" / "router.jsonl").read_text())[0]["event"] == "ready"


def test_what_cannot_be_written_to_the_file_goes_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A full disk must not end the service."""
    telemetry.configure("router", settings=Telemetry(log=f"{tmp_path}/logs"))
    (tmp_path / "logs" / "router.jsonl").mkdir()
    structlog.get_logger().info("ready")
    assert lines(capsys.readouterr().err)[0]["event"] == "ready"


@pytest.mark.parametrize("log", ["nowhere", "", "router.jsonl"])
def test_a_log_that_is_no_folder_is_refused(tmp_path: Path, log: str) -> None:
    """With what may be written."""
    with pytest.raises(ConfigError, match="nor the path of a folder"):
        config.check({"telemetry": {"log": log}, "router": {"instances": ["unix:/a"]}}, base=tmp_path, origin="test")


def test_a_folder_is_looked_for_beside_the_configuration(tmp_path: Path) -> None:
    """As are all paths in it."""
    raw = {"telemetry": {"log": "./logs"}, "router": {"instances": ["unix:/a"]}}
    assert config.check(raw, base=tmp_path, origin="test").telemetry.log == f"{tmp_path}/logs"


def test_libraries_warn_in_the_same_form_and_say_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    """Below warnings they repeat what callers sent, whatever our own level is."""
    telemetry.configure("http")
    telemetry.set_level("debug")
    theirs = logging.getLogger("uvicorn.error")
    theirs.setLevel(logging.DEBUG)
    theirs.info("body: %s", "secret")
    theirs.warning("Invalid HTTP request received.")
    (said,) = lines(capsys.readouterr().err)
    assert (said["event"], said["logger"], said["process"]) == (
        "Invalid HTTP request received.",
        "uvicorn.error",
        "http",
    )


def test_what_ends_a_thread_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """With its traceback in it."""
    telemetry.configure("router")
    thread = threading.Thread(target=lambda: 1 / 0, name="judge")
    thread.start()
    thread.join()
    (said,) = lines(capsys.readouterr().err)
    assert (said["event"], said["thread"], said["level"]) == ("thread failed", "judge", "critical")
    assert "ZeroDivisionError" in said["exception"]


def test_what_ends_a_process_is_a_line() -> None:
    """For whoever collects logs, a traceback would be many."""
    code = "from waypost import telemetry; telemetry.configure('worker', 'w-0'); raise RuntimeError('gone')"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    (said,) = lines(done.stderr)
    assert (done.returncode, said["event"], said["instance"]) == (1, "failed", "w-0")
    assert "RuntimeError: gone" in said["exception"]


def test_lines_are_pretty_where_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tracebacks too."""
    monkeypatch.setenv("WAYPOST_LOG", "pretty")
    telemetry.configure("router")
    try:
        raise RuntimeError("gone")
    except RuntimeError:
        structlog.get_logger().exception("failed")
    said = capsys.readouterr().err
    assert not said.startswith("{")
    assert "RuntimeError" in said


def test_levels_are_applied_until_the_process_ends(capsys: pytest.CaptureFixture[str]) -> None:
    """As the plane hands them out; one that changes nothing is nothing."""
    telemetry.configure("router")
    stop, handed = threading.Event(), iter(["debug", None, "warning"])

    def take(wait_s: float) -> str | None:
        try:
            return next(handed)
        except StopIteration:
            stop.set()
            return None

    telemetry.follow_level(take, stop)
    assert telemetry._threshold.level == logging.WARNING
    assert [each["to"] for each in lines(capsys.readouterr().err)] == ["debug"]


def test_the_plane_hands_out_levels(plane: Plane) -> None:
    """Of the router, and of its workers."""
    worker = plane.worker(plane.hash_model())
    router = plane.router(worker)
    with Client(router.address) as client:
        assert set(client.set_log_level("debug")) == {"router", "w"}
    assert [node.core.next_log_level(5.0) for node in (router, worker)] == ["debug", "debug"]
    assert router.core.next_log_level(0.0) is None


MESH = """
[telemetry]
log = "./logs"

[http]
listen = "127.0.0.1:0"

[[workers]]
name = "local"

[[workers.models]]
name = "hash"
backend = "hash"
"""


def test_a_whole_mesh_writes_logs_whose_level_changes_while_it_runs(tmp_path: Path) -> None:
    """A file for each process; of router and worker the level is changed over the wire."""
    (tmp_path / "waypost.toml").write_text(MESH)
    env = os.environ | {"WAYPOST_HOME": str(tmp_path / "home"), "WAYPOST_RUNTIME": str(tmp_path / "r")}
    command = (sys.executable, "-P", "-m", "waypost", "up", "--listen", "127.0.0.1:0", "--json", "--lifeline")
    with subprocess.Popen(
        (*command, "--config", str(tmp_path / "waypost.toml")),
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as mesh:
        assert mesh.stdout
        ready = json.loads(mesh.stdout.readline())
        with Client(ready["grpc"]) as client:
            assert set(client.set_log_level("debug")) == {"router", "local-0"}
            for name in ("router", "local-0"):
                log = tmp_path / "logs" / f"{name}.jsonl"
                eventually(lambda log=log: log.exists() and "log level" in log.read_text())
        mesh.terminate()
        assert mesh.wait(timeout=60) == 0
    written = {path.name: lines(path.read_text()) for path in (tmp_path / "logs").iterdir()}
    assert {each["instance"] for each in written["local-0.jsonl"]} == {"local-0"}
    assert {each["process"] for each in written["up.jsonl"]} == {"up"}
