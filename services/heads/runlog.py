"""The run log: everything needed to repeat a training and to check what its card claims.

No time and no host: two runs with the same arguments must write the same file.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import scipy

from services.heads.calibrate import Calibration
from services.heads.examples import Dataset
from services.heads.metrics import Figure
from services.heads.spec import Spec
from services.heads.validate import Settings
from waypost._core import version

FORMAT = "waypost.run.v1"


@dataclass(frozen=True)
class Measurement:
    """A figure, the part it was measured on and the form of the encoder it was measured with."""

    part: str
    vectors: str
    figure: Figure

    def entry(self) -> dict[str, object]:
        numbers = {key: _rounded(value) for key, value in asdict(self.figure).items()}
        return {"part": self.part, "vectors": self.vectors, **numbers}


def entries(
    spec: Spec,
    data: Dataset,
    seed: int,
    settings: Settings | Calibration,
    labels: Sequence[str],
    measurements: Sequence[Measurement],
) -> dict[str, object]:
    return {
        "format": FORMAT,
        "spec": asdict(spec),
        "labels": list(labels),
        "data": _data(data),
        "seed": seed,
        "settings": {key: _rounded(value) for key, value in asdict(settings).items()},
        "versions": _versions(),
        "figures": [measurement.entry() for measurement in measurements],
    }


def file_entry(path: Path) -> dict[str, object]:
    content = path.read_bytes()
    return {"name": path.name, "bytes": len(content), "sha256": sha256(content).hexdigest()}


def dumps(log: dict[str, object]) -> str:
    return json.dumps(log, indent=1, ensure_ascii=False) + "\n"


def _data(data: Dataset) -> dict[str, object]:
    return {
        "sha256": data.digest(),
        "train": len(data.train),
        "held_out": len(data.held_out),
        "held_out_is": data.held_out_is,
        "tests": {name: len(rows) for name, rows in data.tests.items()},
        "sources": [asdict(source) for source in data.sources],
    }


def _versions() -> dict[str, str]:
    return {
        "waypost": version,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return round(value, 6) if isinstance(value, float) else value
