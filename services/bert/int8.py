"""The int8 graph: integer matrix products with fixed activation scales, and no work on padding.

* Weights are rounded to 7 bits per output channel, activations to 8 bits with the scales of `calibrate.py`.  Seven,
  because CPUs without VNNI add pairs of 8-bit products in 16 bits, which would saturate: so the vectors are the same
  everywhere.  Bias and rescaling are part of the product (`MatMulIntegerToFloat`).
* Attention is one operator (`MultiHeadAttention`), faster without a mask.
* A run without padding takes the branch "whole".  Otherwise the branch "ragged" gathers the real tokens of all texts
  into one `[tokens, d]` matrix and spreads them out only for attention, so padding costs next to nothing.
* GELU is the tanh form: its error (5e-4) is far below a rounding step.

Layer norm and the residual sum stay two operators: onnxruntime's fused one is 3x slower than the two (measured).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import onnx
from onnx import TensorProto

from services.bert.calibrate import READERS, Scale
from services.bert.graph import MICROSOFT, Graph, finish, inputs
from services.bert.weights import Bert

_LARGEST = 63


def build(bert: Bert, scales: dict[str, Scale]) -> onnx.ModelProto:
    """int64 `[n, tokens]` ids and mask (and segments, for logits) to float32 `[n, d]`."""
    g = Graph()
    shortest = g.node("ReduceMin", "attention_mask", keepdims=0)
    padded = g.node("Equal", shortest, g.constant("zero", np.array(0, np.int64)))
    whole, ragged = g.branch("whole"), g.branch("ragged")
    hidden = g.node(
        "If",
        padded,
        then_branch=ragged.as_branch(_Encoder(ragged, bert, scales, _Ragged(ragged)).hidden()),
        else_branch=whole.as_branch(_Encoder(whole, bert, scales, _Whole(whole)).hidden()),
    )
    finish(g, hidden, bert)
    return g.as_model(inputs(bert), g.rename("output"), bert.labels)


class _Layout(Protocol):
    """Where the tokens are between attentions."""

    def take(self, ids: str) -> str:
        """An input's values, as laid out."""

    def positions(self, table: str) -> str:
        """The position vector of each token."""

    def spread(self, x: str) -> str:
        """As `[n, tokens, d]`."""

    def gather(self, x: str) -> str:
        """Back from `[n, tokens, d]`."""

    def mask(self) -> str:
        """Of the spread tokens, for attention; empty where none is needed."""


class _Whole:
    """Nothing is padded: `[n, tokens, d]` throughout."""

    def __init__(self, g: Graph) -> None:
        self.g = g

    def take(self, ids: str) -> str:
        return ids

    def positions(self, table: str) -> str:
        length = self.g.node("Shape", "input_ids", start=1, end=2)
        return self.g.node("Slice", table, self.g.integers(0), length, self.g.integers(0))

    def spread(self, x: str) -> str:
        return x

    gather = spread

    def mask(self) -> str:
        return ""


class _Ragged:
    """The real tokens of all texts, one after the other: `[real tokens, d]`."""

    def __init__(self, g: Graph) -> None:
        self.g = g
        flat = g.node("Reshape", "attention_mask", g.integers(-1))
        self.kept = g.node("Squeeze", g.node("NonZero", flat), g.integers(0))
        # Padding takes the nearest real token's values: any will do, attention does not look there.
        count = g.node("Sub", g.node("CumSum", flat, g.constant("axis", np.array(0, np.int64))), g.integers(1))
        self.source = g.node("Max", count, g.integers(0))
        self.length = g.node("Shape", "input_ids", start=1, end=2)
        self.shape = g.node("Concat", g.node("Shape", "input_ids"), g.integers(-1), axis=0)
        self.key_mask = g.node("Cast", "attention_mask", to=TensorProto.INT32)

    def take(self, ids: str) -> str:
        return self.g.node("Gather", self.g.node("Reshape", ids, self.g.integers(-1)), self.kept)

    def positions(self, table: str) -> str:
        return self.g.node("Gather", table, self.g.node("Mod", self.kept, self.length))

    def spread(self, x: str) -> str:
        return self.g.node("Reshape", self.g.node("Gather", x, self.source), self.shape)

    def gather(self, x: str) -> str:
        rows = self.g.node("Flatten", x, axis=2)
        return self.g.node("Gather", rows, self.kept)

    def mask(self) -> str:
        return self.key_mask


@dataclass(frozen=True)
class _Encoder:
    """The layers, in one branch."""

    g: Graph
    bert: Bert
    scales: dict[str, Scale]
    layout: _Layout

    def hidden(self) -> str:
        x = self._embeddings()
        for layer in range(self.bert.shape.layers):
            x = self._layer(x, f"encoder.layer.{layer}")
        return self.layout.spread(x) if self.layout.mask() else x

    def _embeddings(self) -> str:
        g, bert = self.g, self.bert
        # Half precision: half the file, exact to 1e-3 of a rounding step.
        words = g.constant("words", bert["embeddings.word_embeddings.weight"].astype(np.float16))
        word = g.node("Cast", g.node("Gather", words, self.layout.take("input_ids")), to=TensorProto.FLOAT)
        positions = self.layout.positions(g.constant("positions", self._position_table()))
        x = g.node("Add", word, positions)
        return g.layer_norm(self._with_segments(x), "embeddings.LayerNorm", bert)

    def _position_table(self) -> np.ndarray:
        """With the first segment's vector added, which spares an operator where there is no second."""
        segments = self.bert["embeddings.token_type_embeddings.weight"]
        return self.bert["embeddings.position_embeddings.weight"] + segments[0]

    def _with_segments(self, x: str) -> str:
        if "token_type_ids" not in inputs(self.bert):
            return x
        segments = self.bert["embeddings.token_type_embeddings.weight"]
        table = self.g.constant("segments", segments - segments[0])
        return self.g.node("Add", x, self.g.node("Gather", table, self.layout.take("token_type_ids")))

    def _layer(self, x: str, prefix: str) -> str:
        query, key, value = self._products(x, prefix, "input")
        mixed = self._attention(query, key, value)
        (attended,) = self._products(mixed, prefix, "mixed")
        middle = self._norm_of_sum(attended, x, f"{prefix}.attention.output.LayerNorm")
        (wide,) = self._products(middle, prefix, "middle")
        (out,) = self._products(self.g.node("FastGelu", wide, domain=MICROSOFT), prefix, "wide")
        return self._norm_of_sum(out, middle, f"{prefix}.output.LayerNorm")

    def _norm_of_sum(self, x: str, y: str, name: str) -> str:
        return self.g.layer_norm(self.g.node("Add", x, y), name, self.bert)

    def _attention(self, *projections: str) -> str:
        spread = [self.layout.spread(each) for each in projections]
        inputs = [*spread, "", self.layout.mask()] if self.layout.mask() else spread
        mixed = self.g.node("MultiHeadAttention", *inputs, domain=MICROSOFT, num_heads=self.bert.shape.heads)
        return self.layout.gather(mixed)

    def _products(self, x: str, prefix: str, site: str) -> list[str]:
        """Rounds `x` once, for every product that reads it."""
        name, scale = f"{prefix}.{site}", self.scales[f"{prefix}.{site}"]
        step, zero = self.g.scalar(f"{name}.step", scale.step), self.g.constant(f"{name}.zero", np.array(scale.zero))
        if scale.smooth is not None:
            x = self.g.node("Mul", x, self.g.constant(f"{name}.smooth", 1 / scale.smooth))
        rounded = self.g.node("QuantizeLinear", x, step, zero)
        return [self._product(rounded, step, zero, f"{prefix}.{reader}", scale) for reader in READERS[site]]

    def _product(self, x: str, step: str, zero: str, name: str, scale: Scale) -> str:
        linear = self.bert.linear(name)
        matrix = linear.matrix if scale.smooth is None else linear.matrix * scale.smooth[:, None]
        weights, steps = rounded_weights(matrix)
        operands = [x, self.g.constant(f"{name}.weight", weights), step, self.g.constant(f"{name}.steps", steps)]
        operands += [zero, "", self.g.constant(f"{name}.bias", linear.bias)]
        return self.g.node("MatMulIntegerToFloat", *operands, domain=MICROSOFT)


def rounded_weights(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integers of `[-63, 63]` and the step of each output channel."""
    steps = np.maximum(np.abs(matrix).max(axis=0), 1e-8) / _LARGEST
    return np.rint(matrix / steps).astype(np.int8), steps.astype(np.float32)
