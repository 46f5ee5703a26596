"""A BERT as its publisher ships it: tensors in a safetensors file, sizes in `config.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

Array = NDArray[np.float32]
Integers = NDArray[np.int8]
Pooling = Literal["mean", "cls"]
Output = Literal["vector", "logits"]


class BrokenWeights(Exception):
    """A weights file is cut short, or is not of the architecture its `config.json` names."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path} cannot be used: {problem}")


@dataclass(frozen=True)
class Shape:
    """The part of `config.json` that decides the graph, and what the graph shall return."""

    layers: int
    heads: int
    hidden: int
    vocabulary: int
    output: Output = "vector"
    pooling: Pooling = "mean"
    layer_norm_eps: float = 1e-12

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads

    @classmethod
    def of(cls, config: Mapping[str, Any], output: Output, pooling: Pooling) -> Shape:
        return cls(
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            hidden=config["hidden_size"],
            vocabulary=config["vocab_size"],
            output=output,
            pooling=pooling,
            layer_norm_eps=config.get("layer_norm_eps", 1e-12),
        )


@dataclass(frozen=True)
class Linear:
    """`y = x @ matrix + bias`; the matrix is `[in, out]`."""

    matrix: Array
    bias: Array


@dataclass(frozen=True)
class Bert:
    """Shape and tensors, by the names that BERT's first release gave them."""

    shape: Shape
    tensors: Mapping[str, Array]

    def __getitem__(self, name: str) -> Array:
        return self.tensors[name].astype(np.float32, copy=False)

    def linear(self, name: str) -> Linear:
        return Linear(np.ascontiguousarray(self[f"{name}.weight"].T), self[f"{name}.bias"])

    @property
    def positions(self) -> int:
        """Tokens it can read."""
        return len(self["embeddings.position_embeddings.weight"])

    @property
    def labels(self) -> int:
        """Columns of the output: labels of a classifier, else the length of the vector."""
        return len(self["classifier.bias"]) if self.shape.output == "logits" else self.shape.hidden


def load(folder: Path, output: Output, pooling: Pooling) -> Bert:
    """The model in `folder`: `model.safetensors` and `config.json`.

    Raises:
        BrokenWeights: a file is cut short, or a tensor is missing.
    """
    path = folder / "model.safetensors"
    config = json.loads((folder / "config.json").read_text())
    try:
        tensors = {name.removeprefix("bert."): tensor for name, tensor in load_file(path).items()}
    except SafetensorError as error:
        raise BrokenWeights(path, f"{error}; fetch it again") from None
    bert = Bert(Shape.of(config, output, pooling), tensors)
    if missing := [name for name in _needed(bert.shape) if name not in tensors]:
        raise BrokenWeights(path, f"no tensor {missing[0]}, nor {len(missing) - 1} more: not a BERT of this shape")
    return bert


def _needed(shape: Shape) -> list[str]:
    tables = ["word_embeddings", "position_embeddings", "token_type_embeddings"]
    needed = [f"embeddings.{table}.weight" for table in tables]
    modules = [f"encoder.layer.{layer}.{part}" for layer in range(shape.layers) for part in PARTS]
    modules += ["embeddings.LayerNorm"] + (["pooler.dense", "classifier"] if shape.output == "logits" else [])
    return needed + [f"{module}.{kind}" for module in modules for kind in ("weight", "bias")]


PARTS = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)
"""Modules of one layer."""
