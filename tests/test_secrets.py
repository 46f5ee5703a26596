"""Keys and tokens are nowhere but where they belong: not in logs, arguments or errors, nor in files at home."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

import waypost
from tests.authority import Authority
from waypost import errors

PATIENCE_S = 60.0
KEY = "k-4c9e61d0b7a2"
TEXT = "the-text-of-a-call-5b1f"
CONFIG = """
[router]
listen = "127.0.0.1:0"
[router.tls]
cert = "server.pem"
key = "server.key"
client_ca = "ca.pem"
[router.limits]
instance_in_flight = 1
[[router.tenants]]
name = "acme"
key_env = "ACME_KEY"
[[workers]]
name = "local"
[[workers.models]]
name = "hash"
backend = "hash"
"""


class Mesh:
    """A running `waypost up` with a key, tokens and certificates, and everything that it has said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = Authority(folder)
        self.ca.server("server")
        self.app = self.ca.tls(**self.ca.signed("app"))
        (folder / "waypost.toml").write_text(CONFIG)
        self.home = folder / "home"
        self.env = os.environ | {
            "WAYPOST_RUNTIME": str(folder / "r"),
            "WAYPOST_HOME": str(self.home),
            "WAYPOST_LOG_LEVEL": "debug",
            "COLUMNS": "300",  # a secret that is wrapped would not be found
            "ACME_KEY": KEY,
        }
        self.log = (folder / "log").open("w+")
        self.up = self.waypost("up", "--config", str(folder / "waypost.toml"), "--json", stdout=subprocess.PIPE)
        assert self.up.stdout
        line = self.up.stdout.readline()
        assert line, (folder / "log").read_text()
        self.ready = json.loads(line)

    def waypost(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """A command, whose complaints are kept."""
        waypost = (sys.executable, "-P", "-m", "waypost")
        return subprocess.Popen((*waypost, *command), env=self.env, text=True, stderr=self.log, **options)

    def said(self, *command: str, key: str = "") -> str:
        """What a command prints."""
        self.env["WAYPOST_KEY"] = key
        process = self.waypost(*command, stdout=subprocess.PIPE)
        return process.communicate(timeout=PATIENCE_S)[0]

    def client(self, key: str, **options: Any) -> waypost.Client:
        """Over TLS, as from elsewhere."""
        return waypost.Client(self.ready["grpc"], key=key, timeout=10.0, tls=options.get("tls", self.app))

    def arguments(self) -> str:
        """Of every process of the mesh."""
        parent = psutil.Process(self.up.pid)
        return "\n".join(" ".join(each.cmdline()) for each in (parent, *parent.children(recursive=True)))

    def stop(self) -> None:
        """Drains, so that everything is written."""
        if self.up.poll() is None:
            self.up.terminate()
            self.up.wait(PATIENCE_S)
        self.log.close()
        if self.up.stdout:
            self.up.stdout.close()

    def files(self) -> Iterator[tuple[Path, bytes]]:
        """Everything at home, and what was said to stderr."""
        for path in (*self.home.rglob("*"), self.folder / "log"):
            if path.is_file():
                yield path, path.read_bytes()


@dataclass(frozen=True)
class Aftermath:
    """What is left of a mesh that was called well and badly."""

    mesh: Mesh
    tokens: tuple[str, ...]
    said: str
    audit: list[dict[str, Any]]


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    """Tokens are made, calls are answered and refused, the mesh is stopped."""
    mesh = Mesh(tmp_path_factory.mktemp("m"))
    try:
        first = mesh.said("token", "create", "--role", "admin", "--quiet").strip()
        second = json.loads(mesh.said("token", "create", "--tenant", "acme", "--note", "ci", "--json"))["secret"]
        told = [each for secret in (first, second, KEY) for each in mistreated(mesh, secret)]
        with pytest.raises(errors.Denied) as stranger:
            mesh.client(first, tls=mesh.ca.tls()).models()
        printed = [mesh.said("token", "list"), mesh.said("audit", key=first[:-1])]
        audit = json.loads(mesh.said("audit", "--json", "--last", "0"))
        said = "\n".join([*told, *printed, str(stranger.value), mesh.arguments()])
        mesh.stop()
        yield Aftermath(mesh, (first, second), said, audit)
    finally:
        mesh.stop()


def mistreated(mesh: Mesh, secret: str) -> Iterator[str]:
    """Good calls and bad ones with a secret, and with what is nearly one: what they are told."""
    for key in (secret, secret[:-1] + "X", secret.upper()):
        with mesh.client(key) as client:
            for call in (
                lambda client: client.embed([TEXT], model="hash"),
                lambda client: client.embed([TEXT], model="none"),
                lambda client: client.embed([TEXT], model="hash", tenant="other"),
                lambda client: client.tokens(),
                lambda client: client.revoke_token("00000000"),
            ):
                try:
                    call(client)
                except errors.WaypostError as error:
                    yield f"{error!r} {error} {error.metadata} {error.routing}"
    with pytest.raises(errors.InvalidRequest) as refused:
        mesh.client(f"{secret} ")
    yield str(refused.value)


def secrets(left: Aftermath) -> list[str]:
    """Whole and in parts, with the certificate's private key."""
    private = [line for line in (left.mesh.folder / "server.key").read_text().splitlines() if "-----" not in line]
    return [*left.tokens, *(token.split("_", 2)[2] for token in left.tokens), KEY, private[0]]


def test_no_secret_is_in_what_is_said(aftermath: Aftermath) -> None:
    """In errors, tables, and the arguments of processes."""
    assert aftermath.said.count("waypost") > 2 and "PERMISSION_DENIED" in aftermath.said
    assert [secret for secret in secrets(aftermath) if secret in aftermath.said] == []


def test_no_secret_is_in_what_is_kept(aftermath: Aftermath) -> None:
    """In logs and other files at home; only the SHA-256 of tokens is in the ledger."""
    files = dict(aftermath.mesh.files())
    assert [
        (path, secret) for path, content in files.items() for secret in secrets(aftermath) if secret.encode() in content
    ] == []
    for token in aftermath.tokens:
        hashed = hashlib.sha256(token.encode()).hexdigest().encode()
        assert {path.stem for path, content in files.items() if hashed in content} == {"ledger"}


def test_no_text_is_in_what_is_kept(aftermath: Aftermath) -> None:
    """Unless it is asked for."""
    assert [path for path, content in aftermath.mesh.files() if TEXT.encode() in content] == []


def test_only_their_user_reads_logs_and_ledger(aftermath: Aftermath) -> None:
    """All that there are."""
    home = aftermath.mesh.home
    kept = [*(home / "log").iterdir(), *home.glob("ledger.db*")]
    assert {path.name for path in kept} >= {"audit.jsonl", "decisions.jsonl", "ledger.db"}
    assert {path.name for path in kept if path.stat().st_mode & 0o777 != 0o600} == set()


def test_changes_and_refusals_are_in_the_record(aftermath: Aftermath) -> None:
    """Of the operator, of the tenant with the key, and of nobody that is known."""
    outcomes = {line["outcome"] for line in aftermath.audit}
    assert outcomes >= {"OK", "UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND"}
    assert [line["door"] for line in aftermath.audit if line["outcome"] == "OK"] == ["operator", "operator"]
