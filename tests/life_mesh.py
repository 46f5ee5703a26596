"""A whole mesh whose workers are started when they are wanted, a client of it, and a look at its processes."""

from __future__ import annotations

import json

import psutil

from tests.gateway import Up
from tests.plane import eventually
from waypost.client import Client
from waypost.results import InstanceStatus

PATIENCE_S = 100.0
HEAD = """
[router]
listen = "127.0.0.1:0"
[router.decisions]
to = "none"
[router.audit]
to = "none"
[router.cache]
enabled = false
[router.life]
memory_bytes = 1000000000
"""
"""Of a configuration; more keys of `router.life` may follow."""
WORKER = """
[[workers]]
name = "{name}"
start = "demand"
memory_bytes = 400000000
idle_s = {idle_s}
{more}
[[workers.models]]
name = "{name}-hash"
backend = "hash"
dimensions = 16
"""


def worker(name: str, idle_s: float = 600.0, more: str = "") -> str:
    """A worker whose model is called `NAME-hash`; two fit into memory."""
    return WORKER.format(name=name, idle_s=idle_s, more=more)


class Mesh:
    """It runs."""

    def __init__(self, up: Up, client: Client) -> None:
        self.up = up
        self.client = client

    def embed(self, name: str) -> str:
        """Asks the model of a worker; who answered."""
        return self.client.embed(["hello"], model=f"{name}-hash", timeout=PATIENCE_S).served.instance

    def state(self, name: str, replica: int = 0) -> str:
        """Of a worker's process, as the router sees it."""
        return self.status(name, replica).state

    def status(self, name: str, replica: int = 0) -> InstanceStatus:
        """Of a worker's process."""
        (found,) = [each for each in self.client.instances() if f"/{name}-{replica}.sock" in each.address]
        return found

    def until(self, name: str, state: str, replica: int = 0) -> None:
        """Returns when it is so."""
        eventually(lambda: self.state(name, replica) == state, PATIENCE_S)

    def process(self, name: str, replica: int = 0) -> psutil.Process:
        """A worker's process, as soon as there is one."""
        return eventually(lambda: processes(self.up, "--name", name, "--replica", str(replica)), PATIENCE_S)[0]

    def pids(self, name: str) -> set[int]:
        """Process numbers of a worker that runs."""
        return {each.pid for each in processes(self.up, "--name", name)}

    def starts(self, name: str) -> int:
        """How often its first process has begun to serve."""
        said = map(json.loads, self.up.logged().splitlines())
        return sum((each["event"], each.get("child")) == ("ready", f"{name}-0") for each in said)


def processes(up: Up, *words: str) -> list[psutil.Process]:
    """Those of a mesh in whose command line these stand together."""
    children = psutil.Process(up.popen.pid).children()
    return [each for each in children if f" {' '.join(words)} " in f" {' '.join(_command(each))} "]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
