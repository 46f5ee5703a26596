"""The profile for small machines keeps what its name says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import memory
from tests.commands import Run
from waypost import config


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("minilm", "smollm2")
def test_two_gigabytes_are_enough_for_all_services() -> None:
    """All processes together, each at its most, while they embed, classify, rerank and write."""
    peaks, answered = memory.turn("2gb", seconds=0.0, longest=100)
    assert set(peaks.each) == {"up", "http", "router", "worker local", "worker writer"}
    assert min(answered[call.__name__] for call in memory.SERVICES) > 0
    assert peaks.together <= peaks.sum <= memory.LIMIT


def test_embedded_profiles_are_shown(run: Run) -> None:
    """As a start for files of one's own."""
    assert run("config", "show", "--profile", "2gb").out == config.default_text("2gb")
    assert [worker.name for worker in config.load(None, profile="2gb").workers] == ["local", "writer"]


def test_a_file_and_a_profile_are_too_much(run: Run, tmp_path: Path) -> None:
    """It would not be clear which counts."""
    (tmp_path / "waypost.toml").write_text(config.default_text())
    told = run("up", "--config", str(tmp_path / "waypost.toml"), "--profile", "2gb")
    assert (told.code, "leave one out" in told.err) == (2, True)
