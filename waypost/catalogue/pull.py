"""Fetches a model's files: sources in order, every file against its sum, one download of a model at a time.

Files land in `<home>/models/<name>/<version>/` only when all of them are right; `pulled.json` there says what they are
and where they came from.  What a source had begun stays in `<version>.part/`, so that the next try can go on.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from waypost import places
from waypost.catalogue.entries import CatalogueError, Entry, File, Source
from waypost.catalogue.sources import Progress, SourceFailed, described, fetch

RECORD = "pulled.json"


class NotPulled(CatalogueError):
    """The files are not here, and nothing may be fetched."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(f"model {entry.name!r} is not here; `waypost pull {entry.name}` fetches it")


class Hosted(CatalogueError):
    """The model has no files: it is asked over the network."""

    def __init__(self, entry: Entry) -> None:
        fix = f"`waypost models card {entry.name}` says what to write into a configuration"
        super().__init__(f"model {entry.name!r} is hosted, there is nothing to fetch; {fix}")


class WrongFile(SourceFailed):
    """A source gave another file than the one that was pinned."""

    def __init__(self, name: str, what: str, expected: object, got: object) -> None:
        super().__init__(f"{name} has {what} {got}, expected {expected}")


class PullFailed(CatalogueError):
    """No source has the files: why, for each."""

    def __init__(self, entry: Entry, reasons: dict[str, str]) -> None:
        lines = [f"{source}: {reason}" for source, reason in reasons.items()]
        fix = f"fetch the files elsewhere and set WAYPOST_MODELS to the folder that holds {entry.name}/"
        super().__init__("\n  ".join([f"model {entry.name!r} cannot be fetched; {fix}", *lines]))


def folder_of(entry: Entry) -> Path:
    """Where the entry's files are once they were pulled."""
    return places.home() / "models" / entry.name / entry.version


def is_pulled(entry: Entry) -> bool:
    """Whether all files are here, at their full size; a hosted model has none.

    Sums are checked when files arrive, not each time.
    """
    folder = folder_of(entry)
    recorded = _recorded(folder)
    sizes = {file.name: recorded.get(file.name, {}).get("bytes") for file in entry.files}
    return all((folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items())


def pull(entry: Entry, progress: Progress = lambda what, done, total: None) -> Path:
    """Folder with the entry's files, fetched if need be.

    Raises:
        PullFailed: no source has them.
        Hosted: there are none.
    """
    if entry.endpoint:
        raise Hosted(entry)
    folder = folder_of(entry)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not is_pulled(entry):
            _pull(entry, folder, progress)
    return folder


def sha256(path: Path) -> str:
    """Sum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pull(entry: Entry, folder: Path, progress: Progress) -> None:
    reasons = {}
    for source in entry.sources:
        try:
            return _pull_from(source, entry, folder, progress)
        except SourceFailed as error:
            reasons[described(source)] = str(error)
    raise PullFailed(entry, reasons)


def _pull_from(source: Source, entry: Entry, folder: Path, progress: Progress) -> None:
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(exist_ok=True)
    fetch(source, entry, part, progress)
    record = dict(_checked(entry, part, _recorded(folder)))
    folder.mkdir(exist_ok=True)
    for file in entry.files:
        (part / file.name).replace(folder / file.name)
    (folder / RECORD).write_text(json.dumps({"source": described(source), "files": record}, indent=2))
    shutil.rmtree(part)


def _checked(entry: Entry, part: Path, before: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in entry.files:
        path = part / file.name
        found = {"bytes": path.stat().st_size, "sha256": sha256(path)}
        try:
            _check(file, found, before.get(file.name, {}))
        except WrongFile:
            path.unlink()  # so that the next try does not go on from it
            raise
        yield file.name, found


def _check(file: File, found: dict[str, Any], before: dict[str, Any]) -> None:
    if file.bytes not in (None, found["bytes"]):
        raise WrongFile(file.name, "a size in bytes of", file.bytes, found["bytes"])
    pinned = file.sha256 or before.get("sha256")
    if pinned not in (None, found["sha256"]):
        raise WrongFile(file.name, "sha256", pinned, found["sha256"])


def _recorded(folder: Path) -> dict[str, Any]:
    path = folder / RECORD
    recorded: dict[str, Any] = json.loads(path.read_text())["files"] if path.exists() else {}
    return recorded
