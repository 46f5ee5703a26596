"""Shared by the Python tests: servers that end with the test."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import waypost
from services.llama.model import Model
from services.llama.settings import Settings
from tests import postgres
from tests.clients import Blocking
from tests.commands import Run, runner
from tests.fake_mesh import Answer, FakeMesh, failing
from tests.gateway import Gateway
from tests.plane import Plane
from waypost import catalogue


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[FakeMesh]:
    """A fake mesh that listens on a Unix socket."""
    fake = FakeMesh(f"unix:{tmp_path}/mesh.sock")
    server = fake.serve()
    yield fake
    server.stop(grace=None).wait()


@pytest.fixture(params=[waypost.Client, Blocking], ids=["sync", "asyncio"])
def client(request: pytest.FixtureRequest, mesh: FakeMesh) -> Iterator[Any]:
    """Both clients of the fake mesh, in turn."""
    made = request.param(mesh.address, timeout=20.0)
    yield made
    made.close()


@pytest.fixture
def fail() -> Callable[..., Answer]:
    """Makes an answer that fails: `fail(code, message, ErrorInfo(…), …)`."""
    return failing


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs the command `waypost` in this process, with a runtime folder of its own and wide tables."""
    monkeypatch.setenv("WAYPOST_RUNTIME", str(tmp_path / "run"))
    monkeypatch.setenv("COLUMNS", "200")
    return runner(monkeypatch, capsys)


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    """Workers and routers of the Rust plane."""
    with Plane(tmp_path) as plane:
        yield plane


def pytest_configure(config: pytest.Config) -> None:
    """`-m "not slow"` leaves out what compiles; Ctrl-C works even where the shell that starts the tests has it ignored,
    as it does in its background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "slow: compiles or builds; minutes on a cold cache")


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Folder of the embedded default, in the user's own home, so that it is fetched once."""
    try:
        return catalogue.pull(catalogue.find("all-minilm-l6-v2"))
    except catalogue.PullFailed as error:
        pytest.skip(f"NOT RUN: {error}")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """File of the embedded generator, in the user's own home, so that it is fetched once."""
    if importlib.util.find_spec("llama_cpp") is None:
        pytest.skip("NOT RUN: llama-cpp-python is not installed: pip install --group llama")
    try:
        catalogue.pull(catalogue.find("smollm2-135m-instruct"))
    except catalogue.PullFailed as error:
        pytest.skip(f"NOT RUN: {error}")
    return catalogue.gguf("smollm2-135m-instruct")[0]


@pytest.fixture(scope="session")
def llama(smollm2: Path) -> Iterator[Model]:
    """The embedded generator, open with two slots of 512 tokens."""
    with closing(Model(smollm2, Settings(threads=1), 2, 512)) as model:
        yield model


@pytest.fixture(scope="session")
def default_ready(tmp_path_factory: pytest.TempPathFactory, minilm: Path, smollm2: Path) -> Iterator[dict[str, Any]]:
    """What `waypost up` says of itself with the embedded default, on real models."""
    env = os.environ | {"WAYPOST_RUNTIME": str(tmp_path_factory.mktemp("r"))}
    command = (sys.executable, "-P", "-m", "waypost", "up", "--listen", "127.0.0.1:0", "--json", "--lifeline")
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as mesh:
        assert mesh.stdout
        yield json.loads(mesh.stdout.readline())
        mesh.terminate()
        mesh.wait(timeout=60)


@pytest.fixture(scope="session")
def default_mesh(default_ready: dict[str, Any]) -> str:
    """Address of the router of the embedded default."""
    return str(default_ready["grpc"])


@pytest.fixture(scope="session")
def default_http(default_ready: dict[str, Any]) -> str:
    """Where the HTTP gateway of the embedded default is."""
    return str(default_ready["http"])


@pytest.fixture
def gateway(mesh: FakeMesh) -> Iterator[Gateway]:
    """A gateway before the fake mesh."""
    with Gateway(mesh.address) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """A PostgreSQL that all tests share, each in a database of its own; who kills one starts its own."""
    if postgres.missing():
        pytest.skip(f"NOT RUN: {postgres.MISSING}")
    with postgres.server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: postgres.Server) -> str:
    """The address of a new, empty database."""
    return postgres_server.database()
