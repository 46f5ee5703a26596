"""Finding the meshes that run on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from waypost import state
from waypost.cli.options import DEFAULT_ADDRESS, address_or_running
from waypost.state import MeshState


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime folder of the test's own."""
    monkeypatch.setenv("WAYPOST_RUNTIME", str(tmp_path / "run"))
    return tmp_path / "run"


def test_a_mesh_is_found_while_it_runs() -> None:
    """From the moment it is ready to its end."""
    with state.folder() as own:
        assert state.running() == []
        state.publish(own, MeshState(7, "127.0.0.1:50051", operator="unix:/run/7/operator.sock"))
        assert state.running() == [MeshState(7, "127.0.0.1:50051", None, "unix:/run/7/operator.sock")]
    assert state.running() == []
    assert not own.exists()


def test_what_a_killed_mesh_left_is_not_found_and_goes(runtime: Path) -> None:
    """Its lock went with it; the next mesh removes its folder."""
    left = runtime / "4711"
    left.mkdir(parents=True)
    state.publish(left, MeshState(4711, "127.0.0.1:50051"))
    assert state.running() == []
    with state.folder():
        assert not left.exists()


def test_a_mesh_of_this_machine_is_called_as_its_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless an address says otherwise, or a key says who calls."""
    monkeypatch.delenv("WAYPOST_KEY", raising=False)
    assert address_or_running("") == DEFAULT_ADDRESS
    with state.folder() as own:
        state.publish(own, MeshState(7, "127.0.0.1:7", operator="unix:/run/7/operator.sock"))
        assert address_or_running("") == "unix:/run/7/operator.sock"
        assert address_or_running("10.0.0.1:1") == "10.0.0.1:1"
        monkeypatch.setenv("WAYPOST_KEY", "wp_…")
        assert address_or_running("") == "127.0.0.1:7"
