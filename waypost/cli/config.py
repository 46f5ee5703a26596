"""`waypost config`: look at a configuration before anything runs on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from waypost import config
from waypost.cli import show
from waypost.cli.options import Json, Profile

group = typer.Typer(help="Check a configuration, or show the embedded default.", no_args_is_help=True)


@group.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="The file.")],
    json: Json = False,
) -> None:
    """Every problem of a configuration at once; exit code 2 if there are any."""
    if not json:
        loaded = config.load(file)
        return show.console().print(f"{file}: good; {_summary(loaded)}")
    try:
        config.load(file)
    except config.ConfigError as error:
        show.as_json({"file": str(file), "problems": [_problem(each) for each in error.problems]})
        raise typer.Exit(2) from None
    show.as_json({"file": str(file), "problems": []})


@group.command("show")
def show_default(profile: Profile = "default") -> None:
    """An embedded configuration, as a start for a file of your own."""
    print(config.default_text(profile), end="")


def _summary(loaded: config.Config) -> str:
    workers = sum(worker.replicas for worker in loaded.workers)
    models = {model.name for worker in loaded.workers for model in worker.models}
    return f"router at {loaded.router.listen}, workers: {workers}, models: {', '.join(sorted(models)) or 'none here'}"


def _problem(problem: config.Problem) -> dict[str, str]:
    return {"key": problem.key, "wrong": problem.wrong, "fix": problem.fix, "message": str(problem)}
