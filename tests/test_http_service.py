"""The gateway's process, as `waypost up` and `waypost http` run it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

import waypost
from tests.commands import Run
from tests.fake_mesh import FakeMesh
from tests.gateway import MESH, PATIENCE_S, WAYPOST, Up
from tests.plane import eventually
from waypost import config
from waypost.v1 import embed_pb2


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A mesh with a gateway."""
    with Up(tmp_path_factory.mktemp("m")) as mesh:
        yield mesh


def test_a_mesh_has_a_gateway(up: Up) -> None:
    """Which answers when the mesh is ready, with the same vectors as the router."""
    url = f"{up.ready['http']}/v1"
    with openai.OpenAI(base_url=url, api_key="none") as client, waypost.Client(up.ready["grpc"]) as direct:
        assert [each.id for each in client.models.list()] == ["clerk", "hash"]
        vector = client.embeddings.create(model="hash", input="hello").data[0].embedding
        assert vector == direct.embed(["hello"], model="hash").vectors[0].tolist()
        chat = client.chat.completions.create(model="clerk", messages=[{"role": "user", "content": "hi"}])
        assert chat.choices[0].message.content == "No model can answer now. Please try again later."
    assert httpx.get(f"{up.ready['http']}/readyz").status_code == 200


def test_status_knows_the_gateway(up: Up) -> None:
    """Of the mesh that is running here."""
    done = subprocess.run((*WAYPOST, "status", "--json"), env=up.env, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["http"] == up.ready["http"]


def test_a_killed_gateway_is_back(up: Up) -> None:
    """Where it was."""
    before = up.process("http")
    before.kill()

    def answers() -> bool:
        try:
            return httpx.get(f"{up.ready['http']}/healthz").is_success
        except httpx.TransportError:
            return False

    eventually(answers)
    assert up.process("http").pid != before.pid


def test_a_killed_router_is_found_again(up: Up) -> None:
    """By the gateway that was connected to it."""
    up.process("router").kill()
    eventually(lambda: httpx.get(f"{up.ready['http']}/readyz").is_success)
    reply = httpx.post(f"{up.ready['http']}/v1/embeddings", json={"model": "hash", "input": "a"})
    assert reply.status_code == 200


def test_an_occupied_port_names_the_key(run: Run, tmp_path: Path) -> None:
    """Before anything is started, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        file = tmp_path / "waypost.toml"
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        toml = MESH.replace('"127.0.0.1:0"', f'"{free()}"').replace("[http]", f'[http]\nlisten = "{listen}"')
        file.write_text(toml)
        done = run("up", "--config", str(file))
    assert done.code == 1
    assert f"http.listen: {listen} is in use" in done.err


def free() -> str:
    """An address that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_other_machines_need_tls_or_a_word(tmp_path: Path) -> None:
    """As with the router."""
    raw = {"router": {"instances": ["127.0.0.1:1"]}, "http": {"listen": "0.0.0.0:8080"}}
    with pytest.raises(config.ConfigError, match=r"http\.listen.*plain text"):
        config.check(raw, base=tmp_path, origin="test")
    raw["http"]["insecure"] = True  # type: ignore[assignment]
    assert config.check(raw, base=tmp_path, origin="test").http


@pytest.mark.parametrize(
    ("http", "key"),
    [
        ({"listen": "8080"}, "http.listen"),
        ({"max_body_bytes": 0}, "http.max_body_bytes"),
        ({"frobnicate": 1}, "http.frobnicate"),
        ({"tls": {"cert": "c.pem"}}, "http.tls.key"),
        ({"listen": "127.0.0.1:50051"}, "http.listen"),
    ],
)
def test_what_is_wrong_is_said_before_a_port_opens(tmp_path: Path, http: dict[str, object], key: str) -> None:
    """By its key."""
    with pytest.raises(config.ConfigError) as caught:
        config.check({"router": {"instances": ["127.0.0.1:1"]}, "http": http}, base=tmp_path, origin="test")
    assert key in [each.key for each in caught.value.problems]


def test_a_gateway_alone(up: Up, tmp_path: Path) -> None:
    """Before any router, at a Unix socket; it says where it serves, and leaves nothing behind."""
    path = tmp_path / "gateway.sock"
    command = (*WAYPOST, "http", "--router", up.ready["grpc"], "--listen", f"unix:{path}", "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert json.loads(process.stdout.readline()) == {"event": "ready", "address": f"unix:{path}"}
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://waypost") as client:
            assert client.get("/readyz").status_code == 200
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    assert not path.exists()


def test_a_drain_lets_answers_end(tmp_path: Path) -> None:
    """What is under way when the gateway is asked to stop is answered."""
    begun, go = threading.Event(), threading.Event()

    def slow(request: object, context: object) -> embed_pb2.EmbedResponse:
        begun.set()
        assert go.wait(PATIENCE_S)
        return embed_pb2.EmbedResponse(dimensions=1, vectors=bytes(4))

    mesh = FakeMesh(f"unix:{tmp_path}/mesh.sock", {"Embed": slow})
    server = mesh.serve()
    command = (*WAYPOST, "http", "--router", mesh.address, "--listen", "127.0.0.1:0", "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = json.loads(process.stdout.readline())["address"]
        told: list[int] = []
        asking = threading.Thread(
            target=lambda: told.append(httpx.post(f"{url}/v1/embeddings", json={"input": "a"}).status_code)
        )
        asking.start()
        assert begun.wait(PATIENCE_S)
        process.send_signal(signal.SIGTERM)
        eventually(lambda: not listens(url))
        go.set()
        asking.join(PATIENCE_S)
        assert told == [200]
        assert process.wait(PATIENCE_S) == 0
    server.stop(grace=None).wait()


def listens(url: str) -> bool:
    """Whether anybody takes a new connection there."""
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
