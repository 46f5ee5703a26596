"""What was measured of a model on a machine, kept in Waypost's home.

    <home>/measurements/<model>/<version>/<variant>-<machine>.json

A home may be carried from machine to machine, so a measurement says where it was made; a later one of the same model,
version, variant and machine replaces it.  `waypost models measure` writes them, cards are filled from them.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from waypost import cpus, places
from waypost.catalogue.said import Section, Text

Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Machine(Section):
    """Where something was measured."""

    processor: str
    cores: Count
    memory_bytes: Count | None
    system: str

    @property
    def key(self) -> str:
        """For file names: machines with the same processor, cores and memory are one; a system is often renewed."""
        told = f"{self.processor}|{self.cores}|{self.memory_bytes}"
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    @property
    def told(self) -> str:
        """In a few words."""
        memory = f", {self.memory_bytes / 2**30:.0f} GiB" if self.memory_bytes else ""
        return f"{self.processor}, {self.cores} {'core' if self.cores == 1 else 'cores'}{memory}"

    @classmethod
    def this(cls) -> Machine:
        """The one this process runs on; cores are those that it may use."""
        return cls(
            processor=cpus.processor(),
            cores=cpus.available(),
            memory_bytes=_memory(),
            system=f"{platform.system()} {platform.machine()}",
        )


class Work(Section):
    """A run of one kind of call by so many callers, each waiting for its answer; times in milliseconds.

    Attributes:
        words: of each text, a number before them.
        tokens_per_s: read where texts are read, written where they are written; None where nothing counts them.
        first_token_p50_ms, first_token_p95_ms: of models that write.
    """

    task: Text
    texts: Annotated[int, Field(ge=1)]
    words: Annotated[int, Field(ge=1)]
    clients: Annotated[int, Field(ge=1)]
    seconds: Amount
    calls: Count
    failed: Count
    calls_per_s: Amount
    texts_per_s: Amount
    tokens_per_s: Amount | None
    p50_ms: Amount
    p95_ms: Amount
    p99_ms: Amount
    first_token_p50_ms: Amount | None = None
    first_token_p95_ms: Amount | None = None


class Memory(Section):
    """Resident memory of the worker's process, in bytes.

    Attributes:
        empty: of a worker with nothing to load.
        loaded: when it says that it serves.
        worked: after the runs.
        peak: the most there ever was, loading included.
    """

    empty: Count
    loaded: Count
    worked: Count
    peak: Count

    @property
    def own(self) -> int:
        """What the model costs: loaded, without what any worker has."""
        return max(0, self.loaded - self.empty)


class Measurement(Section):
    """One model alone in a worker of its own, called over gRPC.

    Attributes:
        variant: what of the model ran: backend and precision, in words that a file's name may have.
        load_s: from the start of the process until it serves; `empty_load_s`: the same with nothing to load.
        load_before: mean load of the machine's last minute when it began: other work makes figures worse.
    """

    format: Literal["waypost.measurement.v1"] = "waypost.measurement.v1"
    model: Text
    version: Text
    variant: Text
    quantisation: str | None
    machine: Machine
    measured: datetime
    waypost: str
    load_before: Amount
    load_s: Amount
    empty_load_s: Amount
    memory: Memory | None
    works: tuple[Work, ...]

    @property
    def busy(self) -> bool:
        """Whether other work ran on the machine, so that figures are worse than they need be."""
        return self.load_before > self.machine.cores / 2

    @property
    def source(self) -> str:
        """For a card."""
        beside = f", beside other work (a load of {self.load_before:.1f})" if self.busy else ""
        where = f"{self.machine.told}, {self.variant}, Waypost {self.waypost}"
        return f"measured {self.measured:%Y-%m-%d} on {where}{beside}"


def save(measurement: Measurement) -> Path:
    """Writes it; returns the file."""
    path = _folder(measurement.model, measurement.version) / f"{measurement.variant}-{measurement.machine.key}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(measurement.model_dump_json(indent=1) + "\n")
    return path


def measurements(model: str, version: str) -> list[Measurement]:
    """All of a model's version: this machine's first, then the latest first; what cannot be read is passed over."""
    here = Machine.this().key
    found = list(_read(_folder(model, version)))
    return sorted(found, key=lambda each: (each.machine.key != here, -each.measured.timestamp()))


def _folder(model: str, version: str) -> Path:
    return places.home() / "measurements" / model / version


def _read(folder: Path) -> Iterator[Measurement]:
    for path in sorted(folder.glob("*.json")):
        try:
            yield Measurement.model_validate_json(path.read_text())
        except (OSError, ValidationError):  # of another version of Waypost, or cut off: measured again it is there
            continue


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None
