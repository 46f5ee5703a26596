"""`waypost budget` and `waypost feedback`: what answers cost, and how good they were."""

from __future__ import annotations

from typing import Annotated

import typer

from waypost.cli import show
from waypost.cli.options import Address, Json, Timeout, address_or_running


def budget(
    address: Address = "",
    tenant: Annotated[str, typer.Option(help="Of this tenant; without it, of all together.")] = "",
    timeout: Timeout = 5.0,
    json: Json = False,
) -> None:
    """What was spent this month, and what is left."""
    from waypost.client import Client

    with Client(address_or_running(address), timeout=timeout) as client:
        found = client.budget(tenant)
    if json:
        return show.as_json(found)
    say = show.console()
    say.print(f"[bold]{found.month}[/bold]{f', {tenant}' if tenant else ''}")
    say.print(f"spent     {show.usd(found.spent_usd)}")
    say.print(f"reserved  {show.usd(found.reserved_usd)}, for calls under way")
    if found.cap_usd is None or found.remaining_usd is None:
        say.print("limit     none")
    else:
        say.print(f"left      {show.usd(found.remaining_usd)} of {show.usd(found.cap_usd)}")
    rows = ((each.model, f"{each.calls:,}", show.usd(each.spent_usd)) for each in found.models)
    show.table("models", ("model", "calls ", "spent "), rows)


def feedback(
    request_id: Annotated[str, typer.Argument(help="Of the answer: the line below it says so.")],
    score: Annotated[float, typer.Argument(help="From 0, useless, to 1, perfect.", min=0.0, max=1.0)],
    address: Address = "",
    timeout: Timeout = 5.0,
    json: Json = False,
) -> None:
    """Say how good an answer was: it moves the score of the model that gave it."""
    from waypost.client import Client

    with Client(address_or_running(address), timeout=timeout) as client:
        model = client.feedback(request_id, score)
    if json:
        return show.as_json({"request_id": request_id, "score": score, "model": model})
    show.console().print(f"noted for {model}")
