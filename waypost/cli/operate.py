"""`waypost drain`, `undrain` and `weights`: what operators change while a mesh runs, until its router ends."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated

import typer

from waypost.cli import show
from waypost.cli.options import Address, Json, Timeout, address_or_running

Named = Annotated[str, typer.Argument(help="Its name, as `waypost status` shows it.")]
Weight = Annotated[float | None, typer.Option(min=0.0, help="0: it does not count.")]


def drain(name: Named, address: Address = "", timeout: Timeout = 5.0, json: Json = False) -> None:
    """Take an instance out of a router's choice: calls under way end, new ones go elsewhere."""
    _drained(name, True, address, timeout, json)


def undrain(name: Named, address: Address = "", timeout: Timeout = 5.0, json: Json = False) -> None:
    """Let a drained instance have calls again."""
    _drained(name, False, address, timeout, json)


def _drained(name: str, drained: bool, address: str, timeout: float, json: bool) -> None:
    from waypost.client import Client

    with Client(address_or_running(address), timeout=timeout) as client:
        instance = client.drain(name, drained)
    if json:
        return show.as_json(instance)
    if instance.drained:
        left = f"{instance.in_flight} calls are still under way"
        show.console().print(f"{name} gets no new calls, {left}: `waypost undrain {name}` brings it back")
    else:
        show.console().print(f"{name} is back, and {instance.state}")


def weights(
    latency: Weight = None,
    queue: Weight = None,
    fit: Weight = None,
    health: Weight = None,
    feedback: Weight = None,
    address: Address = "",
    timeout: Timeout = 5.0,
    json: Json = False,
) -> None:
    """How a router weighs the terms of its score; those that are named are changed."""
    from waypost.client import Client

    named = {"latency": latency, "queue": queue, "fit": fit, "health": health, "feedback": feedback}
    changes = {name: value for name, value in named.items() if value is not None}
    with Client(address_or_running(address), timeout=timeout) as client:
        now = client.status().weights
        if changes:
            now = client.set_weights(replace(now, **changes))
    if json:
        return show.as_json(now)
    show.table(
        "weights of the score", ("term", "weight "), [(term, f"{value:g}") for term, value in asdict(now).items()]
    )
