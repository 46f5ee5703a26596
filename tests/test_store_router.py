"""A real router and its log of calls."""

from __future__ import annotations

import signal
from pathlib import Path

import grpc
import pytest

from bench.processes import started
from router.store.journal import waiting
from tests import postgres
from tests.plane import eventually
from tests.stores import calls, empty, skip_without_postgres
from waypost.v1 import embed_pb2, embed_pb2_grpc

CONFIG = """
[router]
instances = ["unix:/nowhere/worker.sock"]
[router.payloads]
mode = "full"
[router.store]
enabled = true
url = "{url}"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Waypost's home."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def ask(address: str, numbers: range) -> None:
    """Calls that nobody is there to answer, which is written down too."""
    with grpc.insecure_channel(address) as channel:
        stub = embed_pb2_grpc.EmbedServiceStub(channel)
        for number in numbers:
            with pytest.raises(grpc.RpcError):
                stub.Embed(embed_pb2.EmbedRequest(texts=["hello"]), metadata=[("x-request-id", f"r{number}")])


def lines(home: Path) -> int:
    """In the journals."""
    return sum(path.read_bytes().count(b"\n") for path in (home / "journal").rglob("*.lines"))


def test_a_router_that_is_stopped_has_written_every_call(home: Path) -> None:
    """With its texts; nothing is left in a journal."""
    with started("router", CONFIG.format(url="file")) as router:
        ask(router.address, range(20))
    with empty(f"sqlite:{home}/store.db") as engine:
        found = calls(engine, "request_id", "status", "prompt")
    assert found == [(f"r{number}", "UNAVAILABLE", {"texts": ["hello"]}) for number in range(20)]
    assert waiting(home / "journal") == {}


def test_what_a_killed_router_wrote_down_is_brought_in_by_the_next(home: Path) -> None:
    """Also where the database was away all the time."""
    skip_without_postgres()
    with postgres.server() as server:
        config = CONFIG.format(url=server.url)
        server.stop()
        with started("router", config) as router:
            ask(router.address, range(20))
            eventually(lambda: lines(home) == 40)  # of calls, and of their texts
            router.strike(signal.SIGKILL)
            router.popen.wait()
        assert sum(waiting(home / "journal").values()) > 0
        server.start()
        with started("router", config) as router:
            ask(router.address, range(20, 30))
        with empty(server.url) as engine:
            assert sorted(calls(engine, "request_id")) == sorted(f"r{number}" for number in range(30))
        assert waiting(home / "journal") == {}
