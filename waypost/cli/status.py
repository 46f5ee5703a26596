"""`waypost status` and `waypost health`: what the mesh has and how it fares, and whether it serves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waypost import state
from waypost.cli import show
from waypost.cli.failures import WRONG_USAGE, CommandError
from waypost.cli.options import Address, Json, Timeout, address_or_running
from waypost.config import Life

if TYPE_CHECKING:
    from rich.console import RenderableType

    from waypost.aio import AsyncClient
    from waypost.results import InstanceStatus, ModelInfo

LOW_MEMORY = Life().low_memory


def status(
    address: Address = "",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again each second, until Ctrl-C.")] = False,
    timeout: Timeout = 5.0,
    json: Json = False,
) -> None:
    """Addresses, instances and models of the running mesh."""
    from waypost.cli import watching
    from waypost.client import Client

    if watch and json:
        raise CommandError("--watch is for people: leave out --json, or call again and again", WRONG_USAGE)
    if watch:
        return watching.watch(lambda: address_or_running(address), _look, every_s=1.0, whole=False)
    called = address_or_running(address)
    with Client(called, timeout=timeout) as client:
        instances, models = client.instances(), client.models()
    mesh = _mesh(called)
    if json:
        return show.as_json({"grpc": mesh.grpc, "http": mesh.http, "instances": instances, "models": models})
    show.console().print(*_shown(mesh, instances, models), sep="\n")


async def _look(client: AsyncClient) -> RenderableType:
    from rich.console import Group

    instances, models = await asyncio.gather(client.instances(), client.models())
    return Group(*_shown(_mesh(client.address), instances, models))


def _mesh(called: str) -> state.MeshState:
    """The mesh of this machine that is called so."""
    return next((mesh for mesh in state.running() if called in (mesh.grpc, mesh.operator)), state.MeshState(0, called))


def _shown(
    mesh: state.MeshState, instances: Sequence[InstanceStatus], models: Sequence[ModelInfo]
) -> tuple[RenderableType, ...]:
    return (
        f"grpc {mesh.grpc}{f', http {mesh.http}' if mesh.http else ''}{memory_of(mesh)}",
        show.grid(
            "instances",
            ("instance", "state", "models", "busy ", "calls ", "failed ", "p95 ", "address"),
            map(_instance, instances),
        ),
        show.grid(
            "models", ("model", "version", "backend", "tasks", "heads", "vector ", "tokens "), map(_model, models)
        ),
    )


def memory_of(mesh: state.MeshState) -> str:
    """What is free of this machine's memory, or of its control group's, where the mesh runs on it."""
    from router.life import memory

    if not mesh.pid:
        return ""
    found = memory.now(0)
    low = ", which is low" if found.is_low(LOW_MEMORY) else ""
    return f", memory {found.free / 1e9:.1f} of {found.total / 1e9:.1f} GB free{low}"


def _instance(each: InstanceStatus) -> tuple[Any, ...]:
    return (
        each.instance,
        f"{each.state} (drained)" if each.drained else each.state,
        "\n".join(each.models),
        each.in_flight,
        each.requests,
        each.failures,
        show.milliseconds(each.latency_p95),
        each.address,
    )


def _model(each: ModelInfo) -> tuple[Any, ...]:
    return (
        f"{each.name} (out of service)" if each.unloaded else each.name,
        each.version,
        each.backend,
        "\n".join(each.tasks),
        "\n".join(head.name for head in each.heads),
        each.dimensions or "",
        each.max_tokens or "",
    )


def health(address: Address = "", timeout: Timeout = 5.0, json: Json = False) -> None:
    """Whether router or worker serve: exit code 0 if they do.  No key is needed."""
    from waypost.client import Client

    with Client(address_or_running(address), timeout=timeout) as client:
        found = client.health()
    if json:
        show.as_json({"status": found})
    else:
        print(found)
    if found != "SERVING":
        raise typer.Exit(1)
