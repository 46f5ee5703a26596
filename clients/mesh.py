"""The mesh that the clients of all languages are tested against, `golden/mesh.toml`, and further doors to it.

    with running() as mesh, door(mesh, tenants=[ACME]) as keyed:
        ...  # mesh.address, keyed.address

A door is one more router before the same workers, configured otherwise.  The mesh's hosted model is asked of
`clients/provider.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

import waypost
from clients.provider import provider
from waypost.tls import Tls

GOLDEN = Path(__file__).parent / "golden"
KEY_ENV = "WAYPOST_GOLDEN_KEY"
KEY = "golden-key"
ACME = {"name": "acme", "key_env": KEY_ENV}
"""A tenant whose calls need `KEY`."""
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Mesh:
    """A mesh, or a door to one, that runs."""

    address: str


@contextmanager
def running() -> Iterator[Mesh]:
    """Starts it; it ends with the block."""
    with provider() as hosted, TemporaryDirectory(prefix="waypost-") as folder:
        config = _written(Path(folder), _config(hosted.url))
        with _serving(config, "up", "grpc") as address:
            _spend(address)
            yield Mesh(address)


@contextmanager
def door(mesh: Mesh, caller: Tls | None = None, **router: Any) -> Iterator[Mesh]:
    """A router with these keys of `[router]`; `caller` is what a client of it needs, where it speaks TLS."""
    with waypost.Client(mesh.address, tls=False) as client:
        workers = [instance.address for instance in client.instances()]
    with TemporaryDirectory(prefix="waypost-") as folder:
        config = _written(Path(folder), {"router": {"decisions": {"to": "none"}, "instances": workers, **router}})
        with _serving(config, "router", "address") as address:
            _await(address, caller)
            yield Mesh(address)


def _config(url: str) -> dict[str, Any]:
    config = tomllib.loads((GOLDEN / "mesh.toml").read_text())
    for model in (model for worker in config["workers"] for model in worker["models"]):
        if "remote" in model:
            model["remote"]["base_url"] = url
        if "source" in model:
            model["source"] = str(GOLDEN / model["source"])
    return config


def _written(folder: Path, config: dict[str, Any]) -> Path:
    path = folder / "mesh.json"
    path.write_text(json.dumps(config))
    return path


@contextmanager
def _serving(config: Path, command: str, announced: str) -> Iterator[str]:
    """A process of `waypost`; yields the address that its first line announces under this key."""
    places = {"WAYPOST_HOME": str(config.parent / "home"), "WAYPOST_RUNTIME": str(config.parent / "run")}
    env = os.environ | places | {KEY_ENV: KEY}
    options = ("--config", str(config), "--listen", "127.0.0.1:0", "--json", "--lifeline")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(
        (sys.executable, "-P", "-m", "waypost", command, *options), env=env, text=True, **pipes
    ) as process:
        try:
            assert process.stdout
            yield json.loads(process.stdout.readline() or _did_not_start(command))[announced]
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_S)


def _did_not_start(command: str) -> str:
    raise SystemExit(f"`waypost {command}` did not start: the lines above say why")


def _spend(address: str) -> None:
    """Has the one call of the tenant "throttled", so that every further one is refused."""
    with waypost.Client(address, tls=False) as client:
        client.embed(["mine"], model="hash", tenant="throttled")


def _await(address: str, caller: Tls | None) -> None:
    """Until the router has found its workers: nothing but its health says so to those without a key."""
    channel = grpc.secure_channel(address, caller.credentials()) if caller else grpc.insecure_channel(address)
    request = health_pb2.HealthCheckRequest(service="models/hash")
    with channel:
        for health in health_pb2_grpc.HealthStub(channel).Watch(request, wait_for_ready=True, timeout=PATIENCE_S):
            if health.status == health_pb2.HealthCheckResponse.SERVING:
                return
