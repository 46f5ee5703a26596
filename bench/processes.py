"""Workers and routers as processes of their own, for a bench that wants several of them or strikes one.

with started("worker", toml) as worker, started("router", other) as router: ...
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

END_S = 60.0


@dataclass(frozen=True)
class Process:
    """A process that serves."""

    address: str
    popen: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        """Its id."""
        return self.popen.pid

    def strike(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self.popen.send_signal(number)

    def tell(self, line: str) -> None:
        """Writes to its standard input."""
        assert self.popen.stdin
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()


@contextmanager
def started(kind: str, toml: str, env: Mapping[str, str] | None = None) -> Iterator[Process]:
    """`waypost router` or `waypost worker` on the configuration `toml`, at a free port; `env` is put to ours."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "waypost.toml"
        path.write_text(toml)
        common = ("--config", str(path), "--listen", "127.0.0.1:0", "--json", "--lifeline")
        with launched(("waypost", kind, *common), env) as process:
            yield process


@contextmanager
def launched(module: Sequence[str], env: Mapping[str, str] | None = None) -> Iterator[Process]:
    """A Python module that says `{"address": …}` in a line once it serves, and ends when its standard input does."""
    command = [sys.executable, "-m", *module]
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=os.environ | (env or {}), **piped) as popen:
        try:
            yield Process(_address(popen), popen)
        finally:
            popen.send_signal(signal.SIGCONT)
            popen.terminate()
            popen.wait(timeout=END_S)


def _address(popen: subprocess.Popen[str]) -> str:
    assert popen.stdout
    line = popen.stdout.readline()
    if not line:
        raise RuntimeError("the process did not start: its log is above")
    return str(json.loads(line)["address"])
