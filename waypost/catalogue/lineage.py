"""Where a model that was trained here comes from: data, parent, hyperparameters and seed, under the sum of all that.

The record lies beside the model as `<name>.lineage.json`, and again in the registry of Waypost's home as
`registry/<id>.json` with the path.  It is a function of the run log, so the same training has the same id, on any
machine; a record whose content does not have its id was changed by hand and is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, ValidationError

from waypost import places
from waypost.catalogue.entries import CatalogueError, entries
from waypost.catalogue.said import Section, Text

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
RUN_LOG = ".run.json"
RECORD = ".lineage.json"


class LineageBroken(CatalogueError):
    """A record is not what was written."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} is no record of a training: {why}; train again to have it written anew")


class NoRunLog(CatalogueError):
    """Nothing is known of a training."""


class TrainedFile(Section):
    """The file of the weights."""

    name: Text
    bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256


class Parent(Section):
    """The model whose vectors or weights it was trained on."""

    name: Text
    version: Text
    sha256: Sha256 | None
    """Of its weights; None where the catalogue does not pin them, or does not know the model."""


class DataSource(Section):
    """Where examples came from."""

    title: str
    repository: str
    licence: str


class Data(Section):
    """What it was trained on, by the sum over all of it."""

    sha256: Sha256
    train: Annotated[int, Field(ge=0)]
    held_out: Annotated[int, Field(ge=0)]
    sources: tuple[DataSource, ...]


class Lineage(Section):
    """One training; `spec` is what was asked for, `settings` what cross-validation chose."""

    format: Literal["waypost.lineage.v1"] = "waypost.lineage.v1"
    name: Text
    version: Text
    kind: Literal["head"]
    file: TrainedFile
    parent: Parent | None
    data: Data
    seed: int
    spec: dict[str, JsonValue]
    settings: dict[str, JsonValue]
    versions: dict[str, str]

    @property
    def id(self) -> str:
        """Sum of the content, its keys in order."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()


class Registered(Section):
    """A training of the registry, and where its file was written."""

    lineage: Lineage
    path: Text


def run_log(head: Path) -> dict[str, Any]:
    """The run log beside a head's file.

    Raises:
        NoRunLog: there is none, or it is broken.
    """
    path = _beside(head, RUN_LOG)
    try:
        log: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        raise NoRunLog(f"{path} does not exist: it says what a head was trained on and how good it is") from None
    except ValueError as error:
        raise NoRunLog(f"{path} is no run log: {error}") from None
    return log


def of_head(log: Mapping[str, Any]) -> Lineage:
    """From a head's run log."""
    spec = dict(log["spec"])
    return Lineage(
        name=spec["name"],
        version=spec["version"],
        kind="head",
        file=TrainedFile(**log["file"]),
        parent=_parent(spec["encoder"]),
        data=Data.model_validate({name: log["data"][name] for name in Data.model_fields}),
        seed=log["seed"],
        spec=spec,
        settings=dict(log["settings"]),
        versions=dict(log["versions"]),
    )


def register(path: Path, lineage: Lineage) -> Path:
    """Writes the record beside the file at `path` and into the registry; returns the former."""
    beside = _beside(path, RECORD)
    beside.write_text(_written(lineage.id, lineage.model_dump(mode="json")))
    kept = registry() / f"{lineage.id}.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    told = Registered(lineage=lineage, path=str(path.absolute()))
    kept.write_text(_written(lineage.id, told.model_dump(mode="json")))
    return beside


def registered() -> list[Registered]:
    """All trainings that this home knows of, by name and version.

    Raises:
        LineageBroken: a record of the registry was changed.
    """
    found = [_read(path) for path in registry().glob("*.json")]
    return sorted(found, key=lambda each: (each.lineage.name, each.lineage.version, each.lineage.id))


def registry() -> Path:
    """Its folder."""
    return places.home() / "registry"


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name.removesuffix(path.suffix) + ending)


def _written(identity: str, content: Mapping[str, Any]) -> str:
    return json.dumps({"id": identity, **content}, indent=1, ensure_ascii=False) + "\n"


def _read(path: Path) -> Registered:
    try:
        told = json.loads(path.read_text())
        identity = told.pop("id")
        found = Registered.model_validate(told)
    except (OSError, ValueError, KeyError, AttributeError, ValidationError) as error:
        raise LineageBroken(path, str(error).splitlines()[0]) from None
    if not identity == found.lineage.id == path.stem:
        raise LineageBroken(path, "its content is not the one it is named after")
    return found


def _parent(tag: str) -> Parent | None:
    """Of `name/version`, as heads name their encoder."""
    if not tag:
        return None
    name, _, version = tag.rpartition("/")
    return Parent(name=name, version=version, sha256=next(_weights(name, version), None))


def _weights(name: str, version: str) -> Iterator[str]:
    entry = entries().get(name)
    if entry and entry.version == version:
        yield from (file.sha256 for file in entry.files if file.sha256 and file.name.endswith(("safetensors", "gguf")))
