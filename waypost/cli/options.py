"""Options that several commands share: flag, environment variable and help are declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from waypost import state

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
Timeout = Annotated[float, typer.Option(help="Seconds until the call is given up.", min=0.001)]
Model = Annotated[str, typer.Option(help="Model by name; without it, the router chooses.")]
Truncate = Annotated[bool, typer.Option(help="Cut texts longer than the model reads, instead of refusing them.")]
MaxTokens = Annotated[int, typer.Option(help="Most tokens of an answer; 0: the model's default.", min=0)]
Temperature = Annotated[float | None, typer.Option(help="0 takes the likeliest token always.", show_default=False)]
Seed = Annotated[int | None, typer.Option(help="Draws the same tokens again.", show_default=False)]
System = Annotated[str, typer.Option(help="What the model is told before the conversation.")]
Adapter = Annotated[str, typer.Option(help="LoRA adapter of the model by name.")]

DEFAULT_ADDRESS = "127.0.0.1:50051"


def given(**options: Any) -> dict[str, Any]:
    """The options that were set: what is left out is the server's to choose."""
    return {name: value for name, value in options.items() if value is not None}


def address_or_running(address: str) -> str:
    """The address given, else that of the mesh started last on this machine, else the default one."""
    return address or next((mesh.grpc for mesh in state.running()), DEFAULT_ADDRESS)
