"""`waypost token` and `waypost models load | unload` against a fake mesh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from tests.commands import Run
from tests.fake_mesh import FakeMesh
from tests.plane import Plane
from waypost.v1 import mesh_pb2

SECRET = "wp_1f0c9a2e_s3cr3t"
AT = Timestamp(seconds=1_790_000_000)
TOKEN = mesh_pb2.Token(id="1f0c9a2e", tenant="acme", role=mesh_pb2.ROLE_INFER, note="billing", created=AT)


@pytest.fixture
def mesh(mesh: FakeMesh) -> Iterator[FakeMesh]:
    """One that makes a token."""
    mesh.answers["CreateToken"] = lambda request, context: mesh_pb2.CreateTokenResponse(token=TOKEN, secret=SECRET)
    yield mesh


def test_a_secret_is_alone_on_stdout(run: Run, mesh: Any) -> None:
    """What it belongs to is on stderr, so that the secret can be piped."""
    done = run(
        *("token", "create", "--tenant", "acme", "--role", "infer", "--note", "billing", "--lifetime", "90d"),
        *("--address", mesh.address),
    )
    assert (done.code, done.out) == (0, f"{SECRET}\n")
    assert "token 1f0c9a2e of acme, role infer; its secret is shown this once" in done.err
    assert SECRET not in done.err
    assert mesh.requests == [
        mesh_pb2.CreateTokenRequest(
            tenant="acme", role=mesh_pb2.ROLE_INFER, note="billing", lifetime=Duration(seconds=90 * 86400)
        )
    ]


def test_quiet_and_json_say_nothing_else(run: Run, mesh: Any) -> None:
    """For scripts."""
    quiet = run("token", "create", "--quiet", "--address", mesh.address)
    assert (quiet.out, quiet.err) == (f"{SECRET}\n", "")
    made = run("token", "create", "--json", "--address", mesh.address)
    assert (made.json["secret"], made.json["token"]["id"], made.err) == (SECRET, "1f0c9a2e", "")


def test_the_list_shows_which_tokens_are_good(run: Run, mesh: Any) -> None:
    """Those that are not, too, without any secret."""
    over = mesh_pb2.Token(id="00000001", created=AT, expires=Timestamp(seconds=1))
    revoked = mesh_pb2.Token(id="00000002", created=AT, revoked=AT, role=mesh_pb2.ROLE_ADMIN, note="\x1b[2Jmine")
    mesh.answers["ListTokens"] = lambda request, context: mesh_pb2.ListTokensResponse(tokens=[TOKEN, over, revoked])
    shown = run("token", "list", "--address", mesh.address).out
    lines = {line.split()[1]: line for line in shown.splitlines() if line.startswith("│")}
    assert "good" in lines["1f0c9a2e"] and "billing" in lines["1f0c9a2e"] and "2026-09" in lines["1f0c9a2e"]
    assert "over" in lines["00000001"]
    assert "revoked" in lines["00000002"] and "admin" in lines["00000002"]
    assert "\x1b" not in shown
    listed = run("token", "list", "--json", "--address", mesh.address).json
    assert listed[1]["expires"] == "1970-01-01T00:00:01+00:00"


def test_a_token_is_revoked_by_its_eight_digits(run: Run, mesh: Any) -> None:
    """A secret given by mistake is neither sent nor shown."""
    mesh.answers["RevokeToken"] = lambda request, context: mesh_pb2.RevokeTokenResponse(token=TOKEN)
    assert run("token", "revoke", "1f0c9a2e", "--address", mesh.address).out == "token 1f0c9a2e is revoked\n"
    mistaken = run("token", "revoke", SECRET, "--address", mesh.address)
    assert mistaken.code == 2
    assert "s3cr3t" not in mistaken.out + mistaken.err
    assert [request.id for request in mesh.requests] == ["1f0c9a2e"]


@pytest.mark.parametrize(("option", "value"), [("--role", "root"), ("--lifetime", "soon"), ("--lifetime", "0")])
def test_nonsense_is_wrong_usage(run: Run, mesh: Any, option: str, value: str) -> None:
    """Exit code 2, and nothing is made."""
    assert run("token", "create", option, value, "--address", mesh.address).code == 2
    assert not mesh.requests


def test_models_leave_the_service_and_come_back(run: Run, mesh: Any) -> None:
    """By name; each says how to undo it."""
    mesh.answers["UnloadModel"] = lambda request, context: mesh_pb2.UnloadModelResponse(
        model=mesh_pb2.ModelInfo(name=request.model, unloaded=True)
    )
    mesh.answers["LoadModel"] = lambda request, context: mesh_pb2.LoadModelResponse(
        model=mesh_pb2.ModelInfo(name=request.model)
    )
    gone = run("models", "unload", "big", "--address", mesh.address).out
    assert gone == "big is out of service: `waypost models load big` takes it back\n"
    assert run("models", "load", "big", "--address", mesh.address).out == "big is in service\n"
    assert run("models", "unload", "big", "--json", "--address", mesh.address).json["unloaded"] is True


def test_bench_sends_the_key(run: Run, plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    """As every command does; without it nothing would be measured but refusals."""
    router = plane.router(plane.worker(plane.hash_model()), tenants=[{"name": "acme", "key": "s3cret"}])
    monkeypatch.setenv("WAYPOST_KEY", "s3cret")
    embed, *_ = run("bench", "--seconds", "0.1", "--clients", "1", "--json", "--address", router.address).json
    assert embed["calls"] > 0 and embed["failed"] == 0


def test_bench_says_that_it_speaks_plain_text(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where TLS is what the environment asks for."""
    monkeypatch.setenv("WAYPOST_CA", "ca.pem")
    assert "speaks plain text" in run("bench", "--address", "127.0.0.1:1").err


def test_health_needs_no_key(run: Run, plane: Plane) -> None:
    """For load balancers and containers: the exit code says it."""
    router = plane.router(plane.worker(plane.hash_model()), auth={"required": True})
    assert (run("health", "--address", router.address).out, run("status", "--address", router.address).code) == (
        "SERVING\n",
        1,
    )
    assert run("health", "--address", "127.0.0.1:1", "--timeout", "1").code == 1
