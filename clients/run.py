"""The tests of the clients in other languages: `python -m clients.run [LANGUAGE …]`, all without arguments.

    start a mesh and further doors to it → build and test one language after another → say how each fared → stop

What a test finds in its environment is in golden/README.md.  A language whose tools are not on the machine is skipped,
and the table says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from clients import mesh
from clients.certificates import Certificates

HERE = Path(__file__).parent
LIMIT_S = 1800.0
"""Seconds that one command may take: a first build compiles everything."""


@dataclass(frozen=True)
class Language:
    """A folder beside this file: what it needs, and the commands that build and test it."""

    tools: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...]

    @property
    def missing(self) -> list[str]:
        """Tools that are not on the machine."""
        return [tool for tool in self.tools if not shutil.which(tool)]


LANGUAGES = {
    "go": Language(("go",), (("sh", "-c", 'test -z "$(gofmt -l .)"'), ("go", "vet", "./..."), ("go", "test", "./..."))),
    "typescript": Language(("node", "npm"), (("npm", "ci"), ("npm", "test"))),
    "java": Language(("mvn", "javac"), (("mvn", "-B", "-q", "verify"),)),
    "rust": Language(("cargo",), (("cargo", "test", "--locked"),)),
}


@dataclass(frozen=True)
class Result:
    """How one language fared."""

    language: str
    outcome: str
    seconds: float = 0.0
    why: str = ""


def main(chosen: list[str]) -> int:
    """Runs these languages; 1 if one of them failed."""
    if unknown := [name for name in chosen if name not in LANGUAGES]:
        raise SystemExit(f"{', '.join(unknown)}: no client; there is {', '.join(LANGUAGES)}")
    with environment() as env:
        results = [tested(name, LANGUAGES[name], env) for name in chosen or LANGUAGES]
    show(results)
    return any(result.outcome == "failed" for result in results)


@contextmanager
def environment() -> Iterator[dict[str, str]]:
    """What the tests find in their environment; the meshes behind it end with the block."""
    with ExitStack() as opened:
        certificates = Certificates.made(Path(opened.enter_context(TemporaryDirectory(prefix="waypost-"))))
        plain = opened.enter_context(mesh.running())
        keyed = opened.enter_context(mesh.door(plain, tenants=[mesh.ACME]))
        secure = opened.enter_context(mesh.door(plain, certificates.client, tls=certificates.server))
        mutual = opened.enter_context(mesh.door(plain, certificates.client, tls=certificates.mutual))
        yield os.environ | {
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
            # A Go that is too old says so, instead of fetching another.
            "GOTOOLCHAIN": "local",
            "WAYPOST_ADDRESS": plain.address,
            "WAYPOST_GOLDEN": str(mesh.GOLDEN),
            "WAYPOST_KEYED_ADDRESS": keyed.address,
            "WAYPOST_KEY": mesh.KEY,
            "WAYPOST_TLS_ADDRESS": secure.address,
            "WAYPOST_CA": certificates.path("ca.pem"),
            "WAYPOST_MTLS_ADDRESS": mutual.address,
            "WAYPOST_CLIENT_CERT": certificates.path("client.pem"),
            "WAYPOST_CLIENT_KEY": certificates.path("client.key"),
        }


def tested(name: str, language: Language, env: dict[str, str]) -> Result:
    """Builds and tests one language."""
    if language.missing:
        return Result(name, "SKIPPED", why=f"not on this machine: {', '.join(language.missing)}")
    begun = time.monotonic()
    for command in language.commands:
        if why := _failure(command, HERE / name, env):
            return Result(name, "failed", time.monotonic() - begun, why)
    return Result(name, "passed", time.monotonic() - begun)


def _failure(command: tuple[str, ...], folder: Path, env: dict[str, str]) -> str:
    """Why a command failed; empty: it did not."""
    try:
        code = subprocess.run(command, cwd=folder, env=env, timeout=LIMIT_S, check=False).returncode
    except subprocess.TimeoutExpired:
        return f"`{' '.join(command)}` took more than {LIMIT_S:.0f} s"
    return f"`{' '.join(command)}` ended with {code}" if code else ""


def show(results: list[Result]) -> None:
    """The table at the end."""
    table = Table("client", "outcome", "seconds", "why", title="clients")
    styles = {"passed": "green", "failed": "bold red", "SKIPPED": "bold yellow"}
    for result in results:
        outcome = f"[{styles[result.outcome]}]{result.outcome}"
        table.add_row(result.language, outcome, f"{result.seconds:.1f}", result.why)
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
