"""How a process ends: signals and lifelines, in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

DRAINS = """
import sys, time
from waypost.life import Stop, hold_lifeline

if "lifeline" in sys.argv:
    hold_lifeline()
stop = Stop()
print("serving", flush=True)
stop.wait()
print("draining", flush=True)
time.sleep(60 if "slow" in sys.argv else 0)
"""


class Process:
    """A process that drains when asked, for a minute when it is slow."""

    def __init__(self, *arguments: str) -> None:
        pipe = subprocess.PIPE
        self.popen = subprocess.Popen([sys.executable, "-c", DRAINS, *arguments], stdin=pipe, stdout=pipe, text=True)
        assert self.line() == "serving"

    def line(self) -> str:
        assert self.popen.stdout
        return self.popen.stdout.readline().strip()

    def cut_lifeline(self) -> None:
        assert self.popen.stdin
        self.popen.stdin.close()


@pytest.fixture
def started() -> Iterator[list[Process]]:
    """Whatever a test starts is gone after it."""
    processes: list[Process] = []
    yield processes
    for process in processes:
        process.popen.kill()
        with process.popen:
            pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_drains(started: list[Process], number: signal.Signals) -> None:
    """And the process ends well."""
    started.append(process := Process())
    process.popen.send_signal(number)
    assert process.line() == "draining"
    assert process.popen.wait(10.0) == 0


def test_the_second_signal_leaves(started: list[Process]) -> None:
    """Whatever the drain waits for."""
    started.append(process := Process("slow"))
    process.popen.terminate()
    assert process.line() == "draining"
    process.popen.terminate()
    assert process.popen.wait(10.0) == -signal.SIGTERM


def test_the_end_of_the_lifeline_drains(started: list[Process]) -> None:
    """The parent is gone: nobody else will ask."""
    started.append(process := Process("lifeline"))
    process.cut_lifeline()
    assert process.line() == "draining"
    assert process.popen.wait(10.0) == 0


def test_the_end_of_the_lifeline_cuts_a_drain_short(started: list[Process]) -> None:
    """It counts as a signal, here as the second."""
    started.append(process := Process("lifeline", "slow"))
    process.popen.terminate()
    assert process.line() == "draining"
    process.cut_lifeline()
    assert process.popen.wait(10.0) == -signal.SIGTERM


def test_without_a_lifeline_standard_input_does_not_matter(started: list[Process]) -> None:
    """A process started with `< /dev/null` keeps serving."""
    started.append(process := Process())
    process.cut_lifeline()
    process.popen.terminate()
    assert process.line() == "draining"
