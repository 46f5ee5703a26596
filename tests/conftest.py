"""Shared by the Python tests: servers that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fake_mesh import Answer, FakeMesh, failing
from tests.plane import Plane


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[FakeMesh]:
    """A fake mesh that listens on a Unix socket."""
    fake = FakeMesh(f"unix:{tmp_path}/mesh.sock")
    server = fake.serve()
    yield fake
    server.stop(grace=None).wait()


@pytest.fixture
def fail() -> Callable[..., Answer]:
    """Makes an answer that fails: `fail(code, message, ErrorInfo(…), …)`."""
    return failing


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    """Workers and routers of the Rust plane."""
    with Plane(tmp_path) as plane:
        yield plane


def pytest_configure(config: pytest.Config) -> None:
    """`-m "not slow"` leaves out what compiles."""
    config.addinivalue_line("markers", "slow: compiles or builds; minutes on a cold cache")
