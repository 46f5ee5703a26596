"""The head file: safetensors, read by `waypost._core.LinearHead`; `rust_core/text/src/head.rs` defines it.

Matrices are half precision, which halves the file and changes no figure of a card.  Written here rather than by the
safetensors package because that orders metadata at random, and the same training must give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from services.heads.errors import UnknownFormat

FORMAT = "waypost.head.v1"
_DTYPES = {"float32": "F32", "float16": "F16", "uint64": "U64", "uint32": "U32", "uint8": "U8"}
Tensors = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Familiar:
    """The parts of a head file that say what it was trained on.

    Attributes:
        seen: bits of the pairs of neighbouring words that training had.
        none: the share of seen ones in a text that has nothing in common with the training set.
        full: the same for the middle one of texts of the same traffic.
        scores: 101 quantiles of the complexity.
        lengths: 101 quantiles of ln(1 + bytes).
    """

    seen: NDArray[np.uint8]
    none: float
    full: float
    scores: NDArray[np.float32]
    lengths: NDArray[np.float32]


@dataclass(frozen=True)
class Head:
    """What the file says."""

    name: str
    version: str
    labels: tuple[str, ...]
    bias: NDArray[np.float32]
    matrices: Mapping[str, NDArray[np.float16]]
    temperature: float = 1.0
    energy_threshold: float | None = None
    experimental: bool = False
    encoder: str = ""
    familiar: Familiar | None = None

    def metadata(self) -> dict[str, str]:
        values = {
            "format": FORMAT,
            "name": self.name,
            "version": self.version,
            "labels": json.dumps(self.labels, ensure_ascii=False),
            "temperature": repr(self.temperature),
            "experimental": str(self.experimental).lower(),
            "encoder": self.encoder,
        }
        if self.energy_threshold is not None:
            values["energy_threshold"] = repr(self.energy_threshold)
        if self.familiar is not None:
            values |= {"coverage_none": repr(self.familiar.none), "coverage_full": repr(self.familiar.full)}
        return values

    def save(self, path: Path) -> None:
        write_tensors(path, {"bias": self.bias, **self.matrices, **self._remembered()}, self.metadata())

    def _remembered(self) -> dict[str, NDArray[Any]]:
        found = self.familiar
        return {"seen": found.seen, "quantiles": found.scores, "lengths": found.lengths} if found else {}


def load(path: Path) -> Head:
    """Reads a head file.

    Raises:
        UnknownFormat: the file is not a head.
    """
    tensors, said = read_tensors(path)
    if said.get("format") != FORMAT:
        raise UnknownFormat(path, f"{FORMAT} (safetensors written by `waypost train head`)")
    threshold = said.get("energy_threshold")
    remembered = _familiar(tensors, said)
    return Head(
        name=said["name"],
        version=said["version"],
        labels=tuple(json.loads(said["labels"])),
        bias=tensors.pop("bias"),
        matrices=tensors,
        temperature=float(said["temperature"]),
        energy_threshold=None if threshold is None else float(threshold),
        experimental=said["experimental"] == "true",
        encoder=said["encoder"],
        familiar=remembered,
    )


def _familiar(tensors: dict[str, NDArray[Any]], said: Mapping[str, str]) -> Familiar | None:
    """Takes its parts out of `tensors`."""
    if "seen" not in tensors:
        return None
    none, full = float(said["coverage_none"]), float(said["coverage_full"])
    return Familiar(tensors.pop("seen"), none, full, tensors.pop("quantiles"), tensors.pop("lengths"))


def read_tensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        UnknownFormat: it is none.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except SafetensorError as error:
        raise UnknownFormat(path, "safetensors") from error


def write_tensors(path: Path, tensors: Tensors, metadata: Mapping[str, str]) -> None:
    """A safetensors file whose bytes depend on nothing but the arguments."""
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    body = b""
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize):
        data = np.ascontiguousarray(tensor).tobytes()
        offsets = [len(body), len(body) + len(data)]
        header[name] = {"dtype": _DTYPES[tensor.dtype.name], "shape": list(tensor.shape), "data_offsets": offsets}
        body += data
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
