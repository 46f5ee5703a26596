"""`waypost status` and `waypost health`: what the mesh has and how it fares, and whether it serves."""

from __future__ import annotations

import typer

from waypost import state
from waypost.cli import show
from waypost.cli.options import Address, Json, Timeout, address_or_running


def status(address: Address = "", timeout: Timeout = 5.0, json: Json = False) -> None:
    """Addresses, instances and models of the running mesh."""
    from waypost.client import Client

    called = address_or_running(address)
    with Client(called, timeout=timeout) as client:
        instances, models = client.instances(), client.models()
    mesh = next((mesh for mesh in state.running() if called in (mesh.grpc, mesh.operator)), state.MeshState(0, called))
    if json:
        return show.as_json({"grpc": mesh.grpc, "http": mesh.http, "instances": instances, "models": models})
    show.console().print(f"grpc {mesh.grpc}{f', http {mesh.http}' if mesh.http else ''}")
    show.table(
        "instances",
        ("instance", "state", "models", "busy ", "calls ", "failed ", "p95 ", "address"),
        (
            (
                each.instance,
                each.state,
                "\n".join(each.models),
                each.in_flight,
                each.requests,
                each.failures,
                show.milliseconds(each.latency_p95),
                each.address,
            )
            for each in instances
        ),
    )
    show.table(
        "models",
        ("model", "version", "backend", "tasks", "heads", "vector ", "tokens "),
        (
            (
                f"{each.name} (out of service)" if each.unloaded else each.name,
                each.version,
                each.backend,
                "\n".join(each.tasks),
                "\n".join(head.name for head in each.heads),
                each.dimensions or "",
                each.max_tokens or "",
            )
            for each in models
        ),
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
