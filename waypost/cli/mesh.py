"""A mesh on one machine: its configuration as commands of child processes, and the wait until they know each other."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from router import service
from router.child import ChildSpec
from router.life.attendant import Attendant
from router.life.lookout import Lookout
from router.life.processes import Plan
from router.restarts import RestartPolicy
from router.supervisor import Keeper, Supervisor
from waypost.aio import AsyncClient
from waypost.config import Config, Worker
from waypost.cores import Cores
from waypost.errors import WaypostError
from waypost.tls import Tls

# -P: a folder called `router` where the command was started must not shadow ours.
WAYPOST = (sys.executable, "-P", "-m", "waypost")

GRACE_S = 5.0
"""Time to end after the calls under way were drained or cut."""

ON_DEMAND = RestartPolicy(crashes=3, window_s=600.0)
"""Of what calls wait for: they are told soon that it cannot be started, also where a start takes long."""

POLL_S = 0.05
"""Pause between looks at the router's instances."""


def supervisor(config: Config, folder: Path) -> Supervisor:
    """Keepers for all processes of `config`; `folder` takes their sockets and their configuration."""
    file = folder / "config.json"
    file.touch(0o600)  # the address of a store may have a password in it
    file.write_text(config.model_dump_json(exclude_unset=True))
    neighbours = Neighbours(Cores(config).least_beside())
    planned = [(worker, _plans(file, worker, neighbours)) for worker in config.workers]
    plans = [plan for _, each in planned for plan in each]
    router, http = _router(file, config, plans), _http(file, config)
    if not any(worker.always < worker.replicas or worker.restart for worker in config.workers):
        return Supervisor(router, [plan.make() for plan in plans], http, Lookout(config.router.life.low_memory))
    door = service.operator(config.router, folder)
    assert door
    return Supervisor(router, [], http, Attendant(planned, door, config.router.life, _tls(config)))


async def connected(router: str, workers: set[str], patience_s: float = 30.0) -> None:
    """Returns when the router at `router` has every one of `workers` ready, or patience is spent."""
    try:
        async with asyncio.timeout(patience_s), AsyncClient(router) as client:
            while not workers <= await _ready(client):
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        return


async def _ready(client: AsyncClient) -> set[str]:
    try:
        return {each.address for each in await client.instances(timeout=1.0) if each.state == "ready"}
    except WaypostError:  # the router itself may be starting again
        return set()


def _router(file: Path, config: Config, workers: Sequence[Plan]) -> Keeper:
    instances = [argument for plan in workers for argument in ("--instance", plan.address)]
    sockets = ("--sockets", str(file.parent))
    command = (*WAYPOST, "router", "--config", str(file), "--json", "--lifeline", *sockets, *instances)
    return Keeper(ChildSpec("router", command, config.router.drain_s + GRACE_S))


def _http(file: Path, config: Config) -> Keeper | None:
    if config.http is None:
        return None
    command = (
        *WAYPOST,
        "http",
        "--config",
        str(file),
        "--router",
        f"{service.gateway(file.parent)}",
        "--json",
        "--lifeline",
    )
    return Keeper(ChildSpec("http", command, config.http.drain_s + GRACE_S))


def _plans(file: Path, worker: Worker, neighbours: Neighbours) -> list[Plan]:
    return [_plan(file, worker, replica, neighbours) for replica in range(worker.replicas)]


def _plan(file: Path, worker: Worker, replica: int, neighbours: Neighbours) -> Plan:
    instance = worker.instance(replica)
    address = worker.listen or f"unix:{file.parent}/{instance}.sock"
    which = ("--name", worker.name, "--replica", str(replica), "--listen", address)
    command = (*WAYPOST, "worker", "--config", str(file), "--json", "--lifeline", *which)
    spec = ChildSpec(instance, command, worker.drain_s + GRACE_S)
    policy = RestartPolicy() if worker.always == worker.replicas else ON_DEMAND
    if worker.cpus is not None:
        return Plan(instance, address, lambda: Keeper(spec, policy=policy))
    return Plan(instance, address, lambda: neighbours.joined(spec, policy))


class Neighbours:
    """The processes that divide the CPUs which no worker has for itself."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._kept: list[Keeper] = []

    def joined(self, spec: ChildSpec, policy: RestartPolicy) -> Keeper:
        """A keeper of one more, which is told how many they are."""
        self._kept = [each for each in self._kept if not each.ended.is_set()]
        beside = max(self._least, len(self._kept) + 1)
        keeper = Keeper(replace(spec, command=(*spec.command, "--beside", str(beside))), policy=policy)
        self._kept.append(keeper)
        return keeper


def _tls(config: Config) -> Tls | None:
    shown = config.router.worker_tls
    return Tls(shown.ca, shown.cert, shown.key) if shown else None
