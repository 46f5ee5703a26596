"""`waypost up`: a whole mesh on this machine.

    check the configuration → see that the ports are free → fetch and prepare models → start the processes →
    say that it is ready → keep them alive → drain

The first SIGTERM or SIGINT drains, the second leaves.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from waypost import config, life
from waypost.cli import models, show
from waypost.cli.failures import WRONG_USAGE, CommandError
from waypost.cli.options import ConfigFile, Insecure, Json, Profile
from waypost.cli.processes import Lifeline, Listen

if TYPE_CHECKING:
    from router.supervisor import Supervisor
    from waypost.config import Config, Http, Router
    from waypost.state import MeshState


def up(
    config_file: ConfigFile = None,
    profile: Profile = "default",
    listen: Listen = "",
    http: Annotated[str, typer.Option(help="Address of the HTTP gateway, instead of the configuration's.")] = "",
    insecure: Insecure = False,
    pull: Annotated[bool, typer.Option(help="Fetch models that are missing.")] = True,
    json: Json = False,
    lifeline: Lifeline = False,
) -> None:
    """A router and its workers on this machine, kept alive until Ctrl-C.

    Crashed processes start again, after growing pauses; one that keeps crashing is given up, and the command ends when
    nothing is left to serve with.  With --json one line on stdout says where the mesh serves, once it does.
    """
    import asyncio

    from waypost import state, telemetry

    if config_file and profile != "default":
        raise CommandError("--config and --profile are two configurations: leave one out", WRONG_USAGE)
    loaded = _placed(config.load(config_file, listen=listen, insecure=insecure, profile=profile), http, insecure)
    _check(loaded)
    telemetry.configure("up", settings=loaded.telemetry)
    models.ready(loaded, pull)
    if lifeline:
        life.hold_lifeline()
    with state.folder() as folder:
        served = asyncio.run(_serve(loaded, folder, json))
    if not served:
        raise CommandError("nothing is left to serve with: the lines above say why")


def _placed(loaded: Config, http: str = "", insecure: bool = False) -> Config:
    """The configuration with addresses that are free now, and stay the same when a process starts again."""
    from waypost import address

    own = address.concrete(loaded.router.listen)
    address.check_free(own)
    placed = loaded.model_copy(update={"router": loaded.router.model_copy(update={"listen": own})})
    if loaded.http is None and not http:
        return placed
    wanted = loaded.http or config.Http(insecure=insecure)
    return placed.model_copy(update={"http": _placed_http(wanted, http, loaded.router.listen.endswith(":0"))})


def _placed_http(wanted: Http, listen: str, anywhere: bool) -> Http:
    """The gateway at a free address: where the router takes any port, the gateway does as well."""
    from waypost import address

    here = listen or wanted.listen
    if anywhere and not listen:
        here = address.any_port(here)
    placed = config.http_at(wanted, address.concrete(here))
    try:
        address.check_free(placed.listen)
    except address.AddressInUse as error:
        fix = 'write another http.listen, or start with --http, such as "127.0.0.1:0"'
        raise CommandError(f"http.listen: {error.strerror}; {fix}") from None
    return placed


def _check(loaded: Config) -> None:
    """What the processes would say of keys, heads and CPUs, said before they are started, again and again."""
    from router.service import core_config
    from services.heads.shipped import shipped
    from waypost.cores import Cores

    Cores(loaded).require()
    core_config(loaded.router, [], shipped)


async def _serve(loaded: Config, folder: Path, json: bool) -> bool:
    import asyncio

    from waypost.cli.mesh import supervisor

    mesh = supervisor(loaded, folder)
    loop = asyncio.get_running_loop()
    for each in life.SIGNALS:
        loop.add_signal_handler(each, mesh.stop)
    announcing = asyncio.create_task(_announce(mesh, loaded.router, folder, json))
    served = await mesh.run()
    announcing.cancel()
    return served


async def _announce(mesh: Supervisor, router: Router, folder: Path, json: bool) -> None:
    """Says that the mesh is ready, once the router has connected to every worker that came up."""
    import os

    from router.service import operator
    from waypost import state
    from waypost.cli.mesh import connected

    await mesh.settled()
    workers = mesh.serving()
    if mesh.workers and not workers:
        return
    door = operator(router, folder)
    await connected(door or router.listen, set(workers))
    http = mesh.http.address if mesh.http else None
    now = state.MeshState(os.getpid(), router.listen, http, door)
    state.publish(folder, now)
    _say(now, sorted(workers.values()), json)


def _say(mesh: MeshState, instances: list[str], json: bool) -> None:
    if json:
        return show.as_json({"event": "ready", "instances": instances} | dataclasses.asdict(mesh))
    where = f"{mesh.grpc} and {mesh.http}" if mesh.http else mesh.grpc
    who = ", ".join(instances) or "workers start on demand"
    show.console().print(f"[bold]Waypost serves at {where}[/bold] ({who}); Ctrl-C drains it")
