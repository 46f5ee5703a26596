"""Backend `onnx`: encoders that give unit vectors, sequence classifiers and cross-encoders, run by onnxruntime.

A model folder has `tokenizer.json` and either `model.safetensors` with `config.json`, which are converted once
(`services.prepare`), or a `model.onnx` that is run as it is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services import profile
from services.backend import Integers, Loaded, ModelUnusable, Run
from services.heads import resolve
from services.heads.shipped import document_frequencies
from services.prepare import Told, has_weights, prepare
from services.sessions import open_session, runner
from waypost import catalogue
from waypost.catalogue import Entry, Facts
from waypost.config import Batching, Model, looks_like_path

GENERAL = {
    "encoder": ("embedding", "classify", "rerank", "general"),
    "sequence_classifier": ("classify",),
    "cross_encoder": ("rerank",),
}


def load(model: Model, sessions: int) -> Loaded:
    """See `services.backend.Backend`."""
    folder, facts = located(model.source or model.name)
    path = graph(folder, facts, model.precision)
    encoder = facts.kind == "encoder"
    assert facts.kind in ("encoder", "sequence_classifier", "cross_encoder")
    return Loaded(
        kind=facts.kind,
        version=facts.version,
        dimensions=facts.dimensions,
        max_tokens=_max_tokens(model, facts),
        runners=[run_of(path, facts)] * sessions,
        tokenizer=folder / "tokenizer.json",
        labels=facts.labels,
        heads=resolve.heads(model.heads, encoder=f"{facts.name}/{facts.version}"),
        document_frequencies=document_frequencies() if encoder else None,
        tags=facts.tags or GENERAL[facts.kind],
        batching=_batching(model, folder, path),
    )


def located(source: str) -> tuple[Path, Facts]:
    """Folder and facts of a catalogue's model, or of a model folder.

    Raises:
        waypost.catalogue.CatalogueError: there is no such model, its files are not here, or it is of another kind.
    """
    folder, facts = _located(source)
    if facts.kind not in GENERAL:
        raise catalogue.OtherKind(facts)
    if not isinstance(facts, Entry) or catalogue.is_pulled(facts):
        return folder, facts
    raise catalogue.NotPulled(facts)


def _located(source: str) -> tuple[Path, Facts]:
    if looks_like_path(source):
        return Path(source), catalogue.facts_in(Path(source))
    entry = catalogue.find(source)
    return catalogue.folder_of(entry), entry


def graph(folder: Path, facts: Facts, precision: str, told: Told = lambda step: None) -> Path:
    """The file to run; made from the weights if need be.

    Raises:
        ModelUnusable: there is neither, or the weights are broken.
    """
    if has_weights(folder):
        return prepare(folder, facts, told).graph(precision)
    path = folder / "model.onnx"
    if not path.exists():
        raise ModelUnusable(f"{folder} has neither model.safetensors nor model.onnx")
    return path


def run_of(path: Path, facts: Facts) -> Run:
    """A file as the worker runs it, safe to be called from several threads.

    Raises:
        ModelUnusable: the file is broken, or its output is not of the shape the facts say.
    """
    run = runner(open_session(path))
    if facts.binary_logit is not None:
        run = _binary(run, facts.binary_logit)
    columns = _columns(run, path)
    expected = len(facts.labels) if facts.kind == "sequence_classifier" else facts.dimensions
    if columns != expected:
        raise ModelUnusable(f"{path} gives {columns} numbers a text where its facts say {expected}")
    return run


def _columns(run: Run, path: Path) -> int:
    probe = np.ones((1, 2), dtype=np.int64)
    output = run(probe, probe, probe * 0)
    if output.ndim != 2 or output.dtype != np.float32:
        raise ModelUnusable(f"{path} gives {output.dtype} {list(output.shape)}, not float32 [texts, numbers]")
    return int(output.shape[1])


def _binary(run: Run, column: int) -> Run:
    """Logits whose softmax is the sigmoid of one of many."""

    def binary(ids: Integers, mask: Integers, types: Integers) -> NDArray[np.float32]:
        logit = run(ids, mask, types)[:, column]
        return np.stack([np.zeros_like(logit), logit], axis=1)

    return binary


def _max_tokens(model: Model, facts: Facts) -> int:
    if model.max_tokens and model.max_tokens > facts.max_tokens:
        raise ModelUnusable(f"model {model.name!r}: max_tokens = {model.max_tokens}, it reads {facts.max_tokens}")
    return model.max_tokens or facts.max_tokens


def _batching(model: Model, folder: Path, path: Path) -> Batching:
    """Where it is left open: what was fastest of the plans under which an answer does not depend on its neighbours.

    Our int8 graph is indifferent to texts of its own length but not to padding, fp32 to both; of a graph that came as
    it is nothing is known.
    """
    if model.batching.mode != "auto":
        return model.batching
    if not has_weights(folder):
        return model.batching.model_copy(update={"mode": "single"})
    measured = profile.best(path, padding=model.precision == "float32")
    return measured or model.batching.model_copy(update={"mode": "equal"})
