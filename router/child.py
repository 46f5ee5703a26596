"""A child process with a lifeline and a ready line.

The child holds its standard input open (`waypost.life`) and says on standard output, in one line of JSON, when it
serves and where.  It has a session of its own, so that Ctrl-C in a terminal reaches the parent alone, which stops its
children in the right order.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class ChildSpec:
    """What to run, under which name, and how long it may take to stop."""

    name: str
    command: tuple[str, ...]
    stop_s: float = 10.0


class Child(Protocol):
    """What the supervisor needs of a process."""

    pid: int

    async def ready(self) -> str | None:
        """The address it serves at, once it does; None: it ended before."""

    async def wait(self) -> int:
        """Its exit code, negative for a signal."""

    def terminate(self) -> None:
        """Asks it to drain and end."""

    def kill(self) -> None:
        """Ends it."""


class Process:
    """A `Child` of the operating system."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.pid = process.pid
        self._process = process

    @classmethod
    async def spawn(cls, spec: ChildSpec) -> Process:
        """Starts the command of `spec`."""
        pipe = asyncio.subprocess.PIPE
        return cls(await asyncio.create_subprocess_exec(*spec.command, stdin=pipe, stdout=pipe, start_new_session=True))

    async def ready(self) -> str | None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if address := _ready_address(line):
                return address
        return None

    async def wait(self) -> int:
        # communicate() would close the lifeline.
        assert self._process.stdout is not None
        async for _ in self._process.stdout:
            pass
        return await self._process.wait()

    def terminate(self) -> None:
        if self._process.returncode is None:
            self._process.terminate()

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()


def ready_line(address: str) -> str:
    """What a child prints when it serves at `address`."""
    return json.dumps({"event": "ready", "address": address})


def _ready_address(line: bytes) -> str | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    if not isinstance(message, dict) or message.get("event") != "ready":
        return None
    return str(message["address"])
