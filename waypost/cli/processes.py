"""`waypost router`, `waypost worker` and `waypost http`: the parts of a mesh alone, for many machines.

`waypost up` starts the same commands as its children.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from waypost import config, life
from waypost.cli import show
from waypost.cli.failures import WRONG_USAGE, CommandError
from waypost.cli.options import DEFAULT_ADDRESS, ConfigFile, Insecure, Json

Listen = Annotated[str, typer.Option(help="Address instead of the configuration's.", show_default=False)]
Lifeline = Annotated[
    bool, typer.Option("--lifeline", hidden=True, help="End when standard input does: the parent is gone.")
]
Beside = Annotated[int | None, typer.Option(hidden=True, help="Processes that divide the CPUs with it.", min=1)]
Sockets = Annotated[Path | None, typer.Option(hidden=True, help="Folder for the sockets of gateway and operator.")]


def router(
    config_file: ConfigFile = None,
    listen: Listen = "",
    instance: Annotated[
        list[str] | None, typer.Option(help="Address of a worker, beside the configuration's; may be repeated.")
    ] = None,
    insecure: Insecure = False,
    sockets: Sockets = None,
    json: Json = False,
    lifeline: Lifeline = False,
) -> None:
    """The router alone.

    Its workers are those of `router.instances`, of `router.instances_file` (watched for changes), and of --instance.
    The workers of the configuration belong to `waypost up`, not to this command.
    """
    from router import service
    from services.heads.shipped import shipped
    from waypost import telemetry

    loaded = config.load(config_file, listen=listen, insecure=insecure)
    if lifeline:
        life.hold_lifeline()
    telemetry.configure("router", settings=loaded.telemetry)
    announce = _announcer("router", json)
    service.serve(loaded.router, instance or [], shipped, announce, sockets, loaded.telemetry)


def worker(
    config_file: ConfigFile = None,
    name: Annotated[str, typer.Option(help="Which worker; not needed where the configuration has one.")] = "",
    replica: Annotated[int, typer.Option(help="Which of its replicas.", min=0)] = 0,
    listen: Listen = "",
    insecure: Insecure = False,
    beside: Beside = None,
    json: Json = False,
    lifeline: Lifeline = False,
) -> None:
    """One worker alone.

    Give its address to a router: by `router.instances`, by the watched `router.instances_file`, or by --instance.
    """
    from waypost import telemetry

    loaded = config.load(config_file, insecure=insecure)
    chosen = _chosen(loaded, name)
    if listen:
        config.check_listener(chosen, listen)
    threads = _pinned(loaded, chosen, replica, beside)

    from services import worker as service  # its libraries start threads

    if lifeline:
        life.hold_lifeline()
    telemetry.configure("worker", chosen.instance(replica), loaded.telemetry)
    place = service.Place(chosen.instance(replica), listen or chosen.listen, threads)
    service.serve(chosen, place, _announcer("worker", json), loaded.telemetry)


def http(
    config_file: ConfigFile = None,
    router: Annotated[str, typer.Option(help="Address of the router.")] = DEFAULT_ADDRESS,
    listen: Listen = "",
    insecure: Insecure = False,
    json: Json = False,
    lifeline: Lifeline = False,
) -> None:
    """The HTTP gateway alone.

    It speaks OpenAI's API to clients and gRPC to the router, to which it passes on the keys that they bring.  Where the
    router speaks TLS, WAYPOST_CA names the authority of its certificate.
    """
    from router.http import service
    from waypost import telemetry

    loaded = config.load(config_file, insecure=insecure)
    door = loaded.http or config.Http(insecure=insecure)
    own = config.http_at(door, listen) if listen else door
    if lifeline:
        life.hold_lifeline()
    telemetry.configure("http", settings=loaded.telemetry)
    service.serve(own, router, _announcer("gateway", json), loaded.telemetry)


def _chosen(loaded: config.Config, name: str) -> config.Worker:
    if not name and len(loaded.workers) == 1:
        return loaded.workers[0]
    if found := loaded.worker(name):
        return found
    known = ", ".join(each.name for each in loaded.workers) or "none"
    raise CommandError(f"no worker {name!r} in the configuration; there is {known}: name one by --name", WRONG_USAGE)


def _pinned(loaded: config.Config, chosen: config.Worker, replica: int, beside: int | None) -> int:
    """Keeps this process on its CPUs: how many threads it is to compute with there."""
    from waypost import cpus
    from waypost.cores import Cores

    cores = Cores(loaded)
    cores.require(chosen)
    threads = cores.threads(chosen, replica, beside)
    cpus.pin(cores.of(chosen, replica), threads)
    return threads


def _announcer(what: str, json: bool) -> Callable[[str], None]:
    if json:
        return lambda address: show.as_json({"event": "ready", "address": address})
    return lambda address: show.console().print(f"{what} serves at {address}; Ctrl-C stops it")
