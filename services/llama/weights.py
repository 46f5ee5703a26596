"""A GGUF file in the form that is fastest here: as it came, or requantised to Q8_0 once.

llama.cpp multiplies some types with kernels that are much faster than others' (Q8_0 is 1.4 times as fast as the smaller
Q4_1 on AVX2, 1.9 times when it reads a prompt).  What is made is kept in Waypost's home, in a folder for each file.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from services.backend import ModelUnusable
from services.llama import library
from services.llama.library import api
from services.llama.model import check_file
from services.llama.settings import Weights
from waypost import cpus, places

Told = Callable[[str], None]

FTYPES: dict[Weights, int] = {"q8_0": 7}
"""`enum llama_ftype`."""
SMALL = 2 * 1024**3
"""Bytes of a file up to which Q8_0 is tried without being asked for: it may be twice as large."""


@dataclass(frozen=True)
class Prepared:
    """The folder with what was made of a file, and what was measured of it."""

    source: Path
    folder: Path

    @classmethod
    def of(cls, source: Path) -> Prepared:
        """The same for the same path; it need not exist yet."""
        key = hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:16]
        return cls(source, places.home() / "prepared" / f"{source.stem}-{key}")

    @property
    def identity(self) -> list[int]:
        """Of the file as it is now."""
        stat = self.source.stat()
        return [stat.st_size, stat.st_mtime_ns]

    def lock(self, what: str) -> FileLock:
        """Held while something is made or measured, so that it happens once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / f".{what}.lock")


def prepare(source: Path, weights: Weights, told: Told = lambda step: None) -> Path:
    """The file to load, made if need be.

    Raises:
        ModelUnusable: the file is no model, or cannot be requantised.
    """
    check_file(source)
    if weights == "as_is":
        return source
    prepared = Prepared.of(source)
    made = prepared.folder / f"{weights}.gguf"
    with prepared.lock(weights):
        if not _is_current(prepared, made):
            told(f"requantising {source.name} to {weights.upper()}, once")
            _make(prepared, made, weights)
    return made


def is_small(source: Path) -> bool:
    """Whether Q8_0 may be tried without being asked for."""
    return source.stat().st_size <= SMALL


def _is_current(prepared: Prepared, made: Path) -> bool:
    record = _record(made)
    return made.exists() and record.exists() and json.loads(record.read_text()) == _facts(prepared, made)


def _make(prepared: Prepared, made: Path, weights: Weights) -> None:
    part = made.with_suffix(".part")
    parameters = api().llama_model_quantize_default_params()
    parameters.nthread, parameters.ftype, parameters.allow_requantize = cpus.available(), FTYPES[weights], True
    with library.hearing() as said:
        failed = api().llama_model_quantize(str(prepared.source).encode(), str(part).encode(), ctypes.byref(parameters))
    if failed:
        part.unlink(missing_ok=True)
        why = said[0] if said else "llama.cpp does not say why"
        raise ModelUnusable(f'{prepared.source} cannot be requantised, try weights = "as_is": {why}')
    part.replace(made)
    _record(made).write_text(json.dumps(_facts(prepared, made)))


def _facts(prepared: Prepared, made: Path) -> dict[str, object]:
    """What must be as it was for a file to be used again."""
    return {"source": prepared.identity, "bytes": made.stat().st_size}


def _record(made: Path) -> Path:
    return made.with_suffix(".json")
