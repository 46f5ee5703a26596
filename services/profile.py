"""What was measured of a model on this machine, and the plan of batches that was best.

`waypost models measure --plans` writes a profile beside the file it is of; the worker takes its plan from there when
the configuration says `mode = "auto"`.  A profile of another machine or library is not used.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import onnxruntime

from waypost import cpus
from waypost.config import Batching


@dataclass(frozen=True)
class Machine:
    """What a measurement depends on, beside the model."""

    processor: str
    cores: int
    onnxruntime: str

    @classmethod
    def this(cls) -> Machine:
        return cls(cpus.processor(), cpus.available(), onnxruntime.__version__)


@dataclass(frozen=True)
class Plan:
    """Texts per second of one way to batch, by the kind of texts."""

    batching: Batching
    texts_per_s: dict[str, float]

    @property
    def name(self) -> str:
        """For tables."""
        tokens = f"up to {self.batching.token_budget} tokens"
        names = {"single": "one text", "equal": f"equally long texts, {tokens}", "budget": f"padded texts, {tokens}"}
        return f"a run of {names[self.batching.mode]}"


@dataclass(frozen=True)
class Profile:
    """Plans that were tried, and the one that is best over mixed texts."""

    machine: Machine
    plans: tuple[Plan, ...]

    def best(self, *, padding: bool) -> Plan:
        """By texts per second over texts of mixed lengths: what traffic is.  `padding`: whether plans may pad."""
        plans = [plan for plan in self.plans if padding or plan.batching.mode != "budget"]
        return max(plans, key=lambda plan: plan.texts_per_s["mixed"])


def save(graph: Path, profile: Profile) -> Path:
    """Writes the profile of a file beside it."""
    plans = [{"batching": plan.batching.model_dump(), "texts_per_s": plan.texts_per_s} for plan in profile.plans]
    path = _path(graph)
    path.write_text(json.dumps({"machine": asdict(profile.machine), "plans": plans}, indent=2))
    return path


def load(graph: Path) -> Profile | None:
    """The profile of a file on this machine; None where there is none, or only another machine's."""
    path = _path(graph)
    if not path.exists():
        return None
    said = json.loads(path.read_text())
    plans = tuple(Plan(Batching(**plan["batching"]), plan["texts_per_s"]) for plan in said["plans"])
    profile = Profile(Machine(**said["machine"]), plans)
    return profile if profile.machine == Machine.this() else None


def best(graph: Path, *, padding: bool) -> Batching | None:
    """The plan to use for a file, if it was measured here; `padding`: whether it may pad."""
    profile = load(graph)
    return profile.best(padding=padding).batching if profile else None


def _path(graph: Path) -> Path:
    return graph.with_suffix(".profile.json")
