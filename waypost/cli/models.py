"""`waypost pull` and `waypost models`: what can be had, what is here, and how fast it runs here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from waypost import catalogue
from waypost.catalogue.entries import TEXT_READERS
from waypost.cli import cards, show
from waypost.cli.failures import CommandError, of_models
from waypost.cli.measure import measure
from waypost.cli.options import Address, Json, Timeout, address_or_running

if TYPE_CHECKING:
    from waypost.catalogue import Entry
    from waypost.catalogue.sources import Progress
    from waypost.config import Config, Model

Served = Annotated[str, typer.Argument(help="Model of the running mesh: see `waypost status`.")]
Names = Annotated[list[str], typer.Argument(help="Models of the catalogue: see `waypost models list`.")]

FETCHED = ("onnx", "llama", "xllama")
"""Backends whose models come from the catalogue."""
ENGINES = ("llama", "xllama")
"""Of these, those that only a process of their own should load: some files make them abort."""

group = typer.Typer(help="The catalogue, and which models of it are in service.", no_args_is_help=True)


def pull(names: Names, json: Json = False) -> None:
    """Fetch models, check their sums, and convert the weights of encoders."""
    folders = {}
    for entry in map(catalogue.find, names):
        with _bar() as progress:
            folders[entry.name] = catalogue.pull(entry, progress)
            if entry.kind in TEXT_READERS:
                _converted(entry.name, progress)
    if json:
        return show.as_json({name: str(folder) for name, folder in folders.items()})
    for name, folder in folders.items():
        show.console().print(f"{name}: {folder}")


def _converted(name: str, progress: Progress) -> None:
    from services.onnx import graph, located

    graph(*located(name), "int8", partial(_step, progress, name))


def _step(progress: Progress, name: str, step: str) -> None:
    progress(f"{name}: {step}", 0, None)


@group.command("list")
def list_(json: Json = False) -> None:
    """All models of the catalogue, and whether their files are here."""
    entries = list(catalogue.entries().values())
    if json:
        facts = [entry.model_dump(mode="json", exclude={"files", "sources"}) for entry in entries]
        return show.as_json(
            [each | {"here": catalogue.is_pulled(entry)} for each, entry in zip(facts, entries, strict=True)]
        )
    show.table(
        "models",
        ("model", "here", "tokens ", "what it is"),
        (
            (
                entry.name,
                _here(entry),
                entry.max_tokens or "",
                f"{entry.summary} ({entry.license})",
            )
            for entry in entries
        ),
    )


for _command in (cards.card, measure, cards.versions, cards.aliases):
    group.command(_command.__name__)(_command)


def _here(entry: Entry) -> str:
    if entry.endpoint:
        return "hosted"
    return "yes" if catalogue.is_pulled(entry) else ""


@group.command("unload")
def unload(name: Served, address: Address = "", timeout: Timeout = 5.0, json: Json = False) -> None:
    """Take a model out of a router's service: calls that name it fail, others go elsewhere, those under way end.

    Its worker keeps it in memory, and other routers go on with it.
    """
    from waypost.client import Client

    with Client(address_or_running(address), timeout=timeout) as client:
        model = client.unload_model(name)
    if json:
        return show.as_json(model)
    show.console().print(f"{model.name} is out of service: `waypost models load {model.name}` takes it back")


@group.command("load")
def load(name: Served, address: Address = "", timeout: Timeout = 5.0, json: Json = False) -> None:
    """Take a model back into a router's service."""
    from waypost.client import Client

    with Client(address_or_running(address), timeout=timeout) as client:
        model = client.load_model(name)
    if json:
        return show.as_json(model)
    show.console().print(f"{model.name} is in service")


@group.command("pin")
def pin(name: Served, address: Address = "", timeout: Timeout = 5.0, json: Json = False) -> None:
    """Keep a model in a router's service: until it is let go, nobody can unload it."""
    _pinned(name, True, address, timeout, json)


@group.command("unpin")
def unpin(name: Served, address: Address = "", timeout: Timeout = 5.0, json: Json = False) -> None:
    """Let a pinned model go."""
    _pinned(name, False, address, timeout, json)


def _pinned(name: str, pinned: bool, address: str, timeout: float, json: bool) -> None:
    from waypost.client import Client

    with Client(address_or_running(address), timeout=timeout) as client:
        model = client.pin(name, pinned)
    if json:
        return show.as_json(model)
    show.console().print(f"{model.name} is pinned" if model.pinned else f"{model.name} may be unloaded")


def ready(loaded: Config, may_pull: bool) -> None:
    """Fetches and prepares whatever the workers of a configuration need.

    Raises:
        CommandError: a model cannot be had; all of them are named.
    """
    problems: list[str] = []
    for worker in loaded.workers:
        for model in worker.models:
            with _collected(problems, f"model {model.name!r} of worker {worker.name!r}"):
                _ready(model, may_pull)
    if problems:
        raise CommandError("\n  ".join(["the mesh cannot start", *problems]))


def ready_alone(model: Model) -> None:
    """Sees whether a model is here and can be loaded, and prepares it; nothing is fetched."""
    _ready(model, may_pull=False)


@contextlib.contextmanager
def _collected(problems: list[str], whose: str) -> Iterator[None]:
    try:
        yield
    except of_models() as error:
        problems.append(f"{whose}: {error}")


def _ready(model: Model, may_pull: bool) -> None:
    from services.backends import backend
    from waypost.config import looks_like_path

    source = model.source or model.name
    if model.backend in FETCHED and not looks_like_path(source):
        _pulled(source, may_pull)
    load = backend(model.backend)
    if model.backend not in ENGINES:
        load(model, sessions=1)
    else:
        _may_be_loaded(model.backend, source)


def _may_be_loaded(engine: str, source: str) -> None:
    from services.llama.library import require

    catalogue.gguf(source)
    if engine == "llama":
        require()


def _pulled(source: str, may_pull: bool) -> Path:
    entry = catalogue.find(source)
    if not may_pull and not catalogue.is_pulled(entry):
        raise catalogue.NotPulled(entry)
    with _bar() as progress:
        return catalogue.pull(entry, progress)


@contextlib.contextmanager
def _bar() -> Iterator[Progress]:
    """Follows whatever is being done at the moment, bytes or steps."""
    from rich.progress import DownloadColumn

    from waypost.cli import progress

    with progress.bar(DownloadColumn()) as bar:
        yield _follower(bar.add_task, bar.update)


def _follower(add: Callable[..., int], update: Callable[..., None]) -> Progress:
    tasks: dict[str, int] = {}

    def follow(what: str, done: int, total: int | None) -> None:
        if what not in tasks:
            tasks[what] = add(what, total=total)
        update(tasks[what], completed=done, total=total)

    return follow
