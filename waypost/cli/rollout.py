"""`waypost rollout`: replace a model by another, step by step, watched.

Every change names the revision it is based on: of two people who change the same rollout at once, one is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waypost.cli import show
from waypost.cli.failures import CommandError
from waypost.cli.options import Address, Json, Timeout, address_or_running, duration, shares

if TYPE_CHECKING:
    from waypost.client import Client
    from waypost.control import Rollout, RolloutArm, RolloutStatus

BY_HAND = "by hand"
COLUMNS = ("rollout", "state", "share", "side", "model", "calls ", "errors ", "p50 ", "p95 ", "quality ", "feedback ")

Name = Annotated[str, typer.Argument(help="What callers ask for.")]
Reason = Annotated[str, typer.Option(help="Kept with the rollout, for whoever asks why.")]
Stable = Annotated[str, typer.Option(help="Model that answers now.")]
Canary = Annotated[str, typer.Option(help="Model that may replace it.")]
Steps = Annotated[Any, typer.Option(parser=shares, metavar="SHARES", help="Shares of the canary, one after the other.")]
Shadow = Annotated[float, typer.Option(help="Share of the other calls that are copied to the canary.", min=0, max=1)]
StepLimit = Annotated[
    float, typer.Option(parser=duration, metavar="TIME", help="Longest time at one step; then it is inconclusive.")
]

group = typer.Typer(help="Replace a model by another, step by step, watched.", no_args_is_help=True)


@group.command("start")
def start(
    name: Name,
    stable: Stable,
    canary: Canary,
    steps: Steps = "0.1,0.3,0.8",
    shadow: Shadow = 0.0,
    step_limit: StepLimit = "30m",  # type: ignore[assignment]  # the parser makes it a number
    address: Address = "",
    timeout: Timeout = 5.0,
    json: Json = False,
) -> None:
    """Begin to replace a model.

    The router goes from step to step while the canary is no worse, and back to the stable model when it is.
    Callers name NAME; NAME@stable and NAME@canary ask for one side.
    """
    from waypost.client import Client
    from waypost.control import RUNNING, Rollout

    with Client(address_or_running(address), timeout=timeout) as client:
        before = next((each.rollout for each in client.rollouts() if each.rollout.name == name), None)
        if before and before.state == RUNNING:
            raise CommandError(f"{name} is being rolled out already: promote it or roll it back first")
        revision = before.revision if before else 0
        wanted = Rollout(
            name, stable, canary, steps, shadow_share=shadow, step_limit=step_limit, reason=BY_HAND, revision=revision
        )
        _tell(_set(client, wanted), json)


@group.command("list")
def list_(address: Address = "", timeout: Timeout = 5.0, json: Json = False) -> None:
    """Every rollout, and what its two sides have shown since the step began."""
    from waypost.client import Client

    with Client(address_or_running(address), timeout=timeout) as client:
        found = client.rollouts()
    if json:
        return show.as_json(found)
    show.table("rollouts", COLUMNS, (row for each in found for row in _rows(each)))
    for each in found:
        if each.rollout.reason:
            show.console().print(f"{each.rollout.name}: {each.rollout.reason}", markup=False, soft_wrap=True)


@group.command("promote")
def promote(
    name: Name, reason: Reason = BY_HAND, address: Address = "", timeout: Timeout = 5.0, json: Json = False
) -> None:
    """Make the canary the stable model, now."""
    from waypost.client import Client
    from waypost.control import PROMOTED, RUNNING

    with Client(address_or_running(address), timeout=timeout) as client:
        _tell(_set(client, replace(_in(client, name, RUNNING), state=PROMOTED, reason=reason)), json)


@group.command("rollback")
def rollback(
    name: Name, reason: Reason = BY_HAND, address: Address = "", timeout: Timeout = 5.0, json: Json = False
) -> None:
    """Give everything back to the stable model, now; also after the canary was promoted."""
    from waypost.client import Client
    from waypost.control import PROMOTED, ROLLED_BACK, RUNNING

    with Client(address_or_running(address), timeout=timeout) as client:
        _tell(_set(client, replace(_in(client, name, RUNNING, PROMOTED), state=ROLLED_BACK, reason=reason)), json)


@group.command("step")
def step(
    name: Name, reason: Reason = BY_HAND, address: Address = "", timeout: Timeout = 5.0, json: Json = False
) -> None:
    """Go on to the next share, without waiting for a verdict."""
    from waypost.client import Client
    from waypost.control import RUNNING

    with Client(address_or_running(address), timeout=timeout) as client:
        before = _in(client, name, RUNNING)
        if before.step + 1 >= len(before.steps):
            raise CommandError(f"{name} is at its last step: promote it, or roll it back")
        _tell(_set(client, replace(before, step=before.step + 1, reason=reason)), json)


@group.command("report")
def report(
    name: Name,
    out: Annotated[Path, typer.Option(help="Folder for the report and its plots.", file_okay=False)] = Path("report"),
    json: Json = False,
) -> None:
    """Write what was tried, what both sides showed and how it ended, as Markdown with plots.

    It is made of the journal that the router keeps in Waypost's home: run it on the router's machine.
    """
    from router import rollout_report
    from waypost import places

    try:
        written = rollout_report.write(name, places.log("rollouts"), places.log("shadows"), out)
    except rollout_report.NothingKnown as error:
        raise CommandError(str(error)) from None
    if json:
        return show.as_json({"report": str(written)})
    show.console().print(f"{written} is written", markup=False)


def _in(client: Client, name: str, *states: str) -> Rollout:
    """The rollout, if it is in one of these states."""
    found = _found(client.rollouts(), name).rollout
    if found.state not in states:
        raise CommandError(f"{name} is {found.state.replace('_', ' ')} already: `waypost rollout start` begins anew")
    return found


def _found(all_: Sequence[RolloutStatus], name: str) -> RolloutStatus:
    if found := next((each for each in all_ if each.rollout.name == name), None):
        return found
    known = ", ".join(each.rollout.name for each in all_) or "none"
    raise CommandError(f"no rollout {name!r}; there is {known}")


def _set(client: Client, wanted: Rollout) -> Rollout:
    from waypost.errors import Conflict

    try:
        return client.set_rollout(wanted)
    except Conflict:
        raise CommandError(
            f"somebody else, or the router itself, changed {wanted.name} meanwhile, and nothing was done: "
            "look at `waypost rollout list`, then decide again"
        ) from None


def _tell(now: Rollout, json: bool) -> None:
    if json:
        return show.as_json(now)
    state = now.state.replace("_", " ")
    show.console().print(f"{now.name} is {state}: {now.canary} gets {_share(now)}; revision {now.revision}")


def _rows(status: RolloutStatus) -> Iterator[tuple[Any, ...]]:
    rollout = status.rollout
    sides = ("stable", rollout.stable, status.stable), ("canary", rollout.canary, status.canary)
    heads = (rollout.name, rollout.state.replace("_", " "), _share(rollout)), ("", "", "")
    for head, (side, model, arm) in zip(heads, sides, strict=True):
        yield (*head, side, model, *_figures(arm))


def _figures(arm: RolloutArm) -> Iterator[str]:
    yield f"{arm.calls:,}"
    yield show.percent(arm.errors / arm.calls) if arm.calls else ""
    yield show.milliseconds(arm.latency_p50) if arm.calls else ""
    yield show.milliseconds(arm.latency_p95) if arm.calls else ""
    yield from ("" if judged is None else f"{judged:.3f}" for judged in (arm.quality, arm.feedback))


def _share(rollout: Rollout) -> str:
    """The share that the canary gets."""
    from waypost.control import PROMOTED, RUNNING

    if rollout.state == RUNNING:
        share = rollout.steps[min(rollout.step, len(rollout.steps) - 1)]
        return f"{show.percent(share)} (step {rollout.step + 1} of {len(rollout.steps)})"
    return "100 %" if rollout.state == PROMOTED else "0 %"
