"""Options that several commands share: flag, environment variable and help are declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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

DEFAULT_ADDRESS = "127.0.0.1:50051"


def address_or_running(address: str) -> str:
    """The address given, else that of the mesh started last on this machine, else the default one."""
    return address or next((mesh.grpc for mesh in state.running()), DEFAULT_ADDRESS)
