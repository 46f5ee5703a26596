"""Weights to ONNX files, each checked against a float64 forward in numpy before it is let out."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from services.backend import ModelUnusable
from services.bert import calibrate, float32, forward, int8, weights
from services.bert.weights import Bert, BrokenWeights
from services.prepare import RECORD, Prepared, Told
from services.sessions import open_session, runner
from waypost.catalogue import Facts

MOST_ERROR = 1e-5
"""Of the fp32 graph, in any number, against the float64 forward."""
LEAST_COSINE = 0.97
"""Of the int8 graph, against the same, over tokens drawn at random."""
MOST_RELATIVE_ERROR = 0.1
"""The same where the output are logits: of the largest of them, or of one."""


def convert(folder: Path, facts: Facts, prepared: Prepared, told: Told) -> None:
    """Makes the files, in a folder of its own that is renamed at the end: a run cut off leaves nothing half done.

    Raises:
        ModelUnusable: the weights are broken, or a graph does not compute what numpy does.
    """
    told("reading the weights")
    try:
        bert = weights.load(folder, "vector" if facts.kind == "encoder" else "logits", facts.pooling)
    except BrokenWeights as error:
        raise ModelUnusable(str(error)) from None
    if facts.max_tokens > bert.positions:
        raise ModelUnusable(f"{folder} reads {bert.positions} tokens, its facts say max_tokens = {facts.max_tokens}")
    with tempfile.TemporaryDirectory(dir=prepared.folder.parent) as scratch:
        made = Prepared(Path(scratch) / "made")
        made.folder.mkdir()
        told("writing the fp32 graph")
        onnx.save(float32.build(bert), made.graph("float32"))
        told("calibrating and writing the int8 graph")
        onnx.save(int8.build(bert, calibrate.calibrate(bert)), made.graph("int8"))
        told("checking both against numpy")
        figures = check(bert, made)
        sizes = {path.name: path.stat().st_size for path in made.folder.glob("*.onnx")}
        (made.folder / RECORD).write_text(json.dumps({"bytes": sizes, "checked": figures}, indent=2))
        shutil.rmtree(prepared.folder, ignore_errors=True)
        made.folder.rename(prepared.folder)


def check(bert: Bert, made: Prepared) -> dict[str, float]:
    """How far each graph is from the float64 forward.

    Raises:
        ModelUnusable: too far.
    """
    ids, mask, types = _probe(bert)
    expected = forward.Forward(bert)(ids, mask, types)
    got = {name: runner(open_session(made.graph(name)))(ids, mask, types) for name in ("float32", "int8")}
    figures = {"float32 largest error": float(np.abs(got["float32"] - expected).max())}
    if figures["float32 largest error"] > MOST_ERROR:
        raise ModelUnusable(f"the fp32 graph is wrong by {figures['float32 largest error']:.1e}, allowed {MOST_ERROR}")
    name, value, enough = _int8_figure(bert, got["int8"], expected)
    if not enough:
        raise ModelUnusable(f'rounding to int8 ruins this model ({name} {value:.3f}): set precision = "float32"')
    return figures | {name: value}


def _int8_figure(bert: Bert, got: NDArray[np.float32], expected: NDArray[np.floating]) -> tuple[str, float, bool]:
    if bert.shape.output == "vector":
        cosine = float((got * expected).sum(axis=1).min())
        return "int8 least cosine", cosine, cosine >= LEAST_COSINE
    error = float(np.abs(got - expected).max() / max(1.0, np.abs(expected).max()))
    return "int8 largest relative error", error, error <= MOST_RELATIVE_ERROR


def _probe(bert: Bert) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Four sequences of random tokens, three of them padded, with two segments where the model knows pairs."""
    random = np.random.default_rng(1)
    lengths, tokens = np.array([24, 17, 9, 4]), np.arange(24)
    mask = (tokens < lengths[:, None]).astype(np.int64)
    types = mask * (tokens >= lengths[:, None] // 2) * (bert.shape.output == "logits")
    return random.integers(0, bert.shape.vocabulary, mask.shape) * mask, mask, types
