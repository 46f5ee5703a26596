"""Who is told that memory is low, and when."""

from __future__ import annotations

import asyncio
import os

import pytest
from structlog.testing import capture_logs

from router.life import memory
from router.life.lookout import Lookout, Watchdog
from router.life.members import Memory
from waypost.cli import status
from waypost.state import MeshState


def said(*free: int) -> list[str]:
    """After looks at a machine with so many bytes free, of a hundred."""
    watchdog = Watchdog(0.2)
    with capture_logs() as logs:
        for each in free:
            watchdog.look(Memory(0, each, 100))
    return [line["event"] for line in logs]


def test_low_memory_is_told_once_and_when_it_is_over() -> None:
    """Not again and again where it goes up and down a little."""
    assert said(30, 20) == []
    assert said(30, 19, 10, 21, 19) == ["memory is low"]
    assert said(19, 22, 19) == ["memory is low", "memory is no longer low", "memory is low"]


def test_a_mesh_without_attendant_is_watched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """From its start on, until it ends."""
    monkeypatch.setattr(memory, "now", lambda budget: Memory(budget, 5, 100))
    with capture_logs() as logs, pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(Lookout(0.2).attend(), 0.05))
    assert [line["event"] for line in logs] == ["memory is low"]


def test_the_status_of_a_mesh_on_this_machine_says_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one elsewhere this machine knows nothing."""
    here = MeshState(os.getpid(), "127.0.0.1:1")
    monkeypatch.setattr(memory, "now", lambda budget: Memory(budget, 5_000_000_000, 16_000_000_000))
    assert status.memory_of(here) == ", memory 5.0 of 16.0 GB free"
    monkeypatch.setattr(memory, "now", lambda budget: Memory(budget, 3_000_000_000, 16_000_000_000))
    assert status.memory_of(here) == ", memory 3.0 of 16.0 GB free, which is low"
    assert status.memory_of(MeshState(0, "10.0.0.7:50051")) == ""
