"""Options that several commands share: flag, environment variable and help are declared once."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from waypost import config, state

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else.")]
Address = Annotated[
    str,
    typer.Option(
        envvar="WAYPOST_ADDRESS",
        help='Router or worker to call, "host:port" or "unix:/path"; without it, the mesh running here.',
        show_default=False,
    ),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help="Configuration; without it, the embedded default.")
]
Profile = Annotated[
    config.Profile, typer.Option(help='Which embedded configuration: "2gb" runs within 2 GB of memory in total.')
]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Speak plain text with other machines too: everybody on the way can read it.")
]
Timeout = Annotated[float, typer.Option(help="Seconds until the call is given up.", min=0.001)]
Model = Annotated[str, typer.Option(help="Model by name; without it, the router chooses.")]
Tier = Annotated[str, typer.Option(help='How much model: "simple", "medium", "high", "creative" or "premium".')]
Tag = Annotated[list[str] | None, typer.Option(help="Only models that have this tag; may be repeated.")]
Truncate = Annotated[bool, typer.Option(help="Cut texts longer than the model reads, instead of refusing them.")]
NoStore = Annotated[bool, typer.Option("--no-store", help="Have nothing of the text kept: no log, no cache, no copy.")]
MaxTokens = Annotated[int, typer.Option(help="Most tokens of an answer; 0: the model's default.", min=0)]
Temperature = Annotated[float | None, typer.Option(help="0 takes the likeliest token always.", show_default=False)]
Seed = Annotated[int | None, typer.Option(help="Draws the same tokens again.", show_default=False)]
System = Annotated[str, typer.Option(help="What the model is told before the conversation.")]
Adapter = Annotated[str, typer.Option(help="LoRA adapter of the model by name.")]

_UNITS = {"": 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration(text: str) -> float:
    """Seconds of "90", "250ms", "90s", "30m", "2h" or "1d"."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|[smhd]?)", text.strip())
    if not found or not float(found[1]):
        raise typer.BadParameter(f"{text!r} is no time above zero: write seconds, or such as 250ms, 90s, 30m, 2h, 1d")
    return float(found[1]) * _UNITS[found[2]]


def shares(text: str) -> tuple[float, ...]:
    """Shares of "0.1,0.3,0.8", growing."""
    try:
        found = tuple(float(each) for each in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(0 < each <= 1 for each in found) or list(found) != sorted(set(found)):
        raise typer.BadParameter(f"{text!r} are no growing shares above 0 and at most 1: write such as 0.1,0.3,0.8")
    return found


DEFAULT_ADDRESS = "127.0.0.1:50051"


def given(**options: Any) -> dict[str, Any]:
    """The options that were set: what is left out is the server's to choose."""
    return {name: value for name, value in options.items() if value is not None}


def address_or_running(address: str) -> str:
    """The address given, else that of the mesh started last on this machine, else the default one.

    A mesh of this machine is called at its operator's socket, for which neither key nor certificate is needed, unless
    WAYPOST_KEY says who calls.
    """
    return address or next(map(_called, state.running()), DEFAULT_ADDRESS)


def _called(mesh: state.MeshState) -> str:
    return mesh.grpc if os.environ.get("WAYPOST_KEY") else mesh.operator or mesh.grpc
