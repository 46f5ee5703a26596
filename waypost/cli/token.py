"""`waypost token`: give out tokens, and take them back."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waypost.cli import show
from waypost.cli.failures import WRONG_USAGE, CommandError
from waypost.cli.options import Address, Json, Timeout, address_or_running, duration

if TYPE_CHECKING:
    from waypost.control import NewToken, Token

Lifetime = Annotated[
    Any, typer.Option(parser=duration, metavar="TIME", help="How long it is good for; without it, until it is revoked.")
]

group = typer.Typer(help="Who may call the mesh: give out tokens, and take them back.", no_args_is_help=True)


@group.command("create")
def create(
    tenant: Annotated[str, typer.Option(help="For whom its calls are made; without it, nobody in particular.")] = "",
    role: Annotated[str, typer.Option(help='What it allows: "infer", "operate" or "admin".')] = "infer",
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    lifetime: Lifetime = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the secret alone.")] = False,
    address: Address = "",
    timeout: Timeout = 5.0,
    json: Json = False,
) -> None:
    """Make a token, and show its secret: this once, as it is kept nowhere.

    From the first token on, every call needs one; so the first must be of the role admin.
    """
    from waypost.client import Client

    with Client(address_or_running(address), timeout=timeout) as client:
        made = client.create_token(tenant, role=role, note=note, lifetime=lifetime)
    if json:
        return show.as_json(made)
    if quiet:
        return print(made.secret)
    _show_new(made)


def _show_new(made: NewToken) -> None:
    """The secret alone on stdout, so that it can be piped; what belongs to it on stderr."""
    token, say = made.token, show.console(stderr=True)
    whose = f" of {token.tenant}" if token.tenant else ""
    until = f", until {_moment(token.expires)}" if token.expires else ""
    say.print(f"token {token.id}{whose}, role {token.role}{until}; its secret is shown this once:", markup=False)
    print(made.secret)


@group.command("list")
def list_(address: Address = "", timeout: Timeout = 5.0, json: Json = False) -> None:
    """All tokens, without their secrets."""
    from waypost.client import Client

    with Client(address_or_running(address), timeout=timeout) as client:
        found = client.tokens()
    if json:
        return show.as_json(found)
    now = datetime.now(UTC)
    states = [_state(each, now) for each in found]
    rows = (
        (each.id, each.tenant, each.role, state, _moment(each.created), _moment(each.expires), each.note)
        for each, state in zip(found, states, strict=True)
    )
    columns = ("token", "tenant", "role", "state", "made", "ends", "for")
    show.table("tokens", columns, rows, ("" if state == "good" else "dim" for state in states))


@group.command("revoke")
def revoke(
    id: Annotated[str, typer.Argument(help="Its eight digits: `waypost token list` has them.")],
    address: Address = "",
    timeout: Timeout = 5.0,
    json: Json = False,
) -> None:
    """End a token, at every router of the mesh within a second."""
    from waypost.client import Client

    if not re.fullmatch("[0-9a-f]{8}", id):  # a secret by mistake is neither sent nor shown
        raise CommandError("a token is named by its eight hexadecimal digits: `waypost token list`", WRONG_USAGE)
    with Client(address_or_running(address), timeout=timeout) as client:
        token = client.revoke_token(id)
    if json:
        return show.as_json(token)
    show.console().print(f"token {token.id} is revoked", markup=False)


def _state(token: Token, now: datetime) -> str:
    if token.revoked:
        return "revoked"
    return "over" if token.expires and token.expires <= now else "good"


def _moment(at: datetime | None) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M}" if at else ""
