"""`waypost models card`, `versions` and `aliases`: what is known of models, and which stands behind which name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waypost.cli import show
from waypost.cli.failures import CommandError
from waypost.cli.options import Address, Json, Timeout, address_or_running

if TYPE_CHECKING:
    from waypost.catalogue import Entry
    from waypost.catalogue.cards import Card
    from waypost.control import RolloutStatus

HASH = "hash"

Known = Annotated[
    str,
    typer.Argument(help='Model of the catalogue, shipped head, head trained here, "hash", or the path of one.'),
]
Only = Annotated[str, typer.Argument(help="Model or head; without it, all.")]


def card(
    name: Known = "",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the Markdown itself.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of cards.")] = False,
    json: Json = False,
) -> None:
    """What is known of a model: the catalogue, the run log of its training, and what was measured on this machine.

    Every claim says whose it is; what nobody says is listed as not known.
    """
    from waypost.catalogue import cards
    from waypost.catalogue.markdown import markdown as rendered

    if schema:
        return show.as_json(cards.schema())
    if not name:
        raise CommandError("which model? `waypost models versions` lists them")
    found = card_of(name)
    if json:
        return show.as_json(found.model_dump(mode="json"))
    text = rendered(found)
    if markdown:
        return print(text, end="")
    from rich.markdown import Markdown

    show.console().print(Markdown(text))


def card_of(name: str) -> Card:
    """The card of whatever is called `name`.

    Raises:
        CommandError: nothing is.
        waypost.catalogue.CatalogueError: a file of it is broken.
    """
    from waypost import catalogue
    from waypost.catalogue import describe, lineage
    from waypost.config import looks_like_path

    if looks_like_path(name):
        return _of_path(Path(name))
    if name == HASH:
        from services.hashing import DIMENSIONS, VERSION

        return describe.of_hash(VERSION, DIMENSIONS)
    if name in (known := catalogue.entries()):
        return describe.of_facts(known[name])
    if head := _heads().get(name):
        return describe.of_log(lineage.run_log(head))
    raise catalogue.UnknownModel(name, sorted({*known, *_heads(), HASH}))


def _of_path(path: Path) -> Card:
    from waypost import catalogue
    from waypost.catalogue import describe, lineage

    if not path.exists():
        raise CommandError(f"{path} does not exist")
    if path.suffix == ".safetensors":
        return describe.of_log(lineage.run_log(path))
    return describe.of_facts(catalogue.facts_in(path), str(path))


def _heads() -> dict[str, Path]:
    """Files of heads by name: shipped, and trained here; of the latter the one that was written last."""
    from services.heads.shipped import shipped, shipped_names
    from waypost.catalogue import lineage

    files = {name: shipped(name) for name in shipped_names()}
    trained = sorted((Path(each.path) for each in lineage.registered()), key=_written)
    return files | {path.name.removesuffix(path.suffix): path for path in trained if path.exists()}


def _written(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0


# ---- versions ----


def versions(name: Only = "", json: Json = False) -> None:
    """Every version of models and heads that is known here: of the catalogue, fetched, shipped or trained."""
    rows = [row for row in _versions() if not name or row["name"] == name]
    if name and not rows:
        card_of(name)  # says what it could be
    if json:
        return show.as_json(rows)
    columns = ("name", "version", "kind", "where", "parent", "sum")
    show.table("versions", columns, ([*(row[column] for column in columns[:5]), row["sum"][:12]] for row in rows))


def _versions() -> Iterator[dict[str, str]]:
    from services.hashing import VERSION
    from waypost import catalogue

    yield _version(HASH, VERSION, "hash", "built in")
    for entry in catalogue.entries().values():
        yield from _of_entry(entry)
    yield from _of_heads()


def _of_entry(entry: Entry) -> Iterator[dict[str, str]]:
    """The catalogue's version, and others that were fetched before."""
    from waypost import catalogue

    folder = catalogue.folder_of(entry)
    state = "hosted" if entry.endpoint else "here" if catalogue.is_pulled(entry) else "in the catalogue"
    weights = next((file.sha256 for file in entry.files if file.sha256), None)
    yield _version(entry.name, entry.version, entry.kind, state, sum=weights or "")
    for other in sorted(folder.parent.glob("*/pulled.json")):
        if other.parent != folder:
            yield _version(entry.name, other.parent.name, entry.kind, "here, another version")


def _of_heads() -> Iterator[dict[str, str]]:
    from services.heads.shipped import shipped, shipped_names
    from waypost.catalogue import lineage

    made = [("shipped", lineage.of_head(lineage.run_log(shipped(name)))) for name in shipped_names()]
    made += [(each.path, each.lineage) for each in lineage.registered()]
    for where, each in made:
        parent = f"{each.parent.name}/{each.parent.version}" if each.parent else ""
        yield _version(each.name, each.version, each.kind, where, parent, each.id)


def _version(name: str, version: str, kind: str, where: str, parent: str = "", sum: str = "") -> dict[str, str]:
    return {"name": name, "version": version, "kind": kind, "where": where, "parent": parent, "sum": sum}


# ---- aliases ----


def aliases(address: Address = "", timeout: Timeout = 5.0, json: Json = False) -> None:
    """Names of the running mesh that stand for a model: those of its rollouts, which one call of a router flips."""
    from waypost.client import Client

    with Client(address_or_running(address), timeout=timeout) as client:
        served = {model.name: model.version for model in client.models()}
        rows = [_alias(each, served) for each in client.rollouts()]
    if json:
        return show.as_json(rows)
    columns = ("alias", "model", "version", "canary", "share", "state")
    show.table("aliases", columns, ([row[column] for column in columns] for row in rows))
    if not rows:
        show.console().print("none: every model is called by its own name; `waypost rollout start` makes one")


def _alias(status: RolloutStatus, served: dict[str, str]) -> dict[str, Any]:
    """The model that answers to the name, and the one that may come to."""
    from waypost.control import PROMOTED, RUNNING

    rollout = status.rollout
    model = rollout.canary if rollout.state == PROMOTED else rollout.stable
    running = rollout.state == RUNNING
    return {
        "alias": rollout.name,
        "model": model,
        "version": served.get(model, "not served now"),
        "canary": rollout.canary if running else "",
        "share": show.percent(rollout.steps[rollout.step]) if running else "",
        "state": rollout.state,
    }
