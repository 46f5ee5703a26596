"""The mesh that the clients of all languages are tested against: `golden/mesh.toml`, with or without keys.

    with running() as mesh, running(KEYS) as keyed:
        ...  # mesh.address

Its hosted model is asked of `clients/provider.py`.
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

import waypost
from clients.provider import provider

GOLDEN = Path(__file__).parent / "golden"
KEY_ENV = "WAYPOST_GOLDEN_KEY"
KEY = "golden-key"
STOP_S = 30.0


@dataclass(frozen=True)
class Mesh:
    """A mesh that runs."""

    address: str


@contextmanager
def running(**router: Any) -> Iterator[Mesh]:
    """Starts it, with these keys of `[router]` besides; it ends with the block."""
    with provider() as hosted, TemporaryDirectory(prefix="waypost-") as folder:
        path = Path(folder) / "mesh.json"
        path.write_text(json.dumps(_config(hosted.url, router)))
        with _process(path) as process:
            mesh = Mesh(_ready(process))
            if not router:
                _spend(mesh.address)
            yield mesh


def keyed() -> dict[str, Any]:
    """What makes it ask for a key: `KEY`, of the tenant "acme"."""
    return {"tenants": [{"name": "acme", "key_env": KEY_ENV}]}


def _spend(address: str) -> None:
    """Has the one call of the tenant "throttled", so that every further one is refused."""
    with waypost.Client(address) as client:
        client.embed(["mine"], model="hash", tenant="throttled")


def _config(url: str, router: dict[str, Any]) -> dict[str, Any]:
    config = tomllib.loads((GOLDEN / "mesh.toml").read_text())
    config["router"] |= router
    for model in (model for worker in config["workers"] for model in worker["models"]):
        if "remote" in model:
            model["remote"]["base_url"] = url
        if "source" in model:
            model["source"] = str(GOLDEN / model["source"])
    return config


@contextmanager
def _process(config: Path) -> Iterator[subprocess.Popen[str]]:
    env = os.environ | {"WAYPOST_RUNTIME": str(config.parent / "run"), KEY_ENV: KEY}
    command = (sys.executable, "-P", "-m", "waypost", "up", "--config", str(config))
    options = ("--listen", "127.0.0.1:0", "--json", "--lifeline")
    with subprocess.Popen(
        (*command, *options), env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as up:
        try:
            yield up
        finally:
            up.terminate()
            up.wait(timeout=STOP_S)


def _ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise SystemExit("the mesh did not start: the lines above say why")
    return json.loads(line)["grpc"]
