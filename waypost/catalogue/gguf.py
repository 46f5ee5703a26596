"""The file of a generator: GGUF, which carries weights, vocabulary and chat template in one."""

from __future__ import annotations

from pathlib import Path

from waypost.catalogue.entries import GGUF, CatalogueError, Entry, Facts, OtherKind, facts_in, find
from waypost.catalogue.pull import NotPulled, folder_of, is_pulled
from waypost.config import looks_like_path

_MAGIC = b"GGUF"


class NotGguf(CatalogueError):
    """What was named is no generator."""


def gguf(source: str) -> tuple[Path, Facts]:
    """File and facts of a generator: an entry of the catalogue, a GGUF file, or a folder with one.

    Raises:
        CatalogueError: there is no such model, its files are not here, or it is none that generates.
    """
    path, facts = _of_path(Path(source)) if looks_like_path(source) else _of_entry(find(source))
    _check(path)
    return path, facts


def _of_entry(entry: Entry) -> tuple[Path, Facts]:
    if entry.kind != "generator":
        raise OtherKind(entry)
    if not is_pulled(entry):
        raise NotPulled(entry)
    return _only(folder_of(entry)), entry


def _of_path(path: Path) -> tuple[Path, Facts]:
    return _only(path) if path.is_dir() else path, facts_in(path)


def _only(folder: Path) -> Path:
    found = sorted(folder.glob(f"*{GGUF}"))
    if len(found) != 1:
        what = f"{len(found)} {GGUF} files: name one of them" if found else f"no {GGUF} file"
        raise NotGguf(f"{folder} has {what}")
    return found[0]


def _check(path: Path) -> None:
    """The least that can be told without the library: whoever loads it says the rest."""
    try:
        with path.open("rb") as file:
            begins = file.read(len(_MAGIC))
    except OSError as error:
        raise CatalogueError(f"{path} cannot be read: {error.strerror}") from None
    if begins != _MAGIC:
        raise NotGguf(f"{path} is no GGUF file: it begins with {begins!r}")
