"""Published weights to ONNX files, once per machine; each file is checked against numpy before anything uses it.

The files are kept in Waypost's home under a key made of the weights and of the code that converts them, so that a
change of either makes new ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from waypost import places
from waypost.catalogue import Facts
from waypost.catalogue.pull import sha256

FORMAT = 1
"""To be raised when a graph changes."""
RECORD = "prepared.json"

Told = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """The folder with a model's ONNX files."""

    folder: Path

    def graph(self, precision: str) -> Path:
        """The file of a precision, "float32" or "int8"."""
        return self.folder / f"{precision}.onnx"

    @property
    def complete(self) -> bool:
        """Whether every file is here, at the size it was written with."""
        record = self.folder / RECORD
        sizes = json.loads(record.read_text())["bytes"] if record.exists() else {}
        return bool(sizes) and all(self._size(name) == size for name, size in sizes.items())

    def _size(self, name: str) -> int:
        path = self.folder / name
        return path.stat().st_size if path.exists() else -1


def has_weights(folder: Path) -> bool:
    """Whether a model folder has weights to convert, rather than a `model.onnx`."""
    return (folder / "model.safetensors").exists()


def prepare(folder: Path, facts: Facts, told: Told = lambda step: None) -> Prepared:
    """The ONNX files of the weights in `folder`, made if need be.

    Raises:
        services.backend.ModelUnusable: the weights are broken, or a graph does not compute what numpy does.
    """
    prepared = Prepared(places.home() / "prepared" / f"{facts.name}-{_key(folder, facts)}")
    prepared.folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{prepared.folder}.lock"):
        if not prepared.complete:
            # Only now: a worker that starts again should not wait for the converter's imports.
            from services.convert import convert

            convert(folder, facts, prepared, told)
    return prepared


def _key(folder: Path, facts: Facts) -> str:
    sums = [hashlib.sha256(repr((FORMAT, facts.kind, facts.pooling)).encode()).hexdigest()]
    sums += [sha256(folder / name) for name in ("model.safetensors", "config.json")]
    return hashlib.sha256("".join(sums).encode()).hexdigest()[:16]
