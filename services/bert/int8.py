"""The int8 graph: integer matrix products with fixed activation scales.

* Weights are rounded to 7 bits per output channel, activations to 8 bits with the scales of `calibrate.py`.  Seven,
  because CPUs without VNNI add pairs of 8-bit products in 16 bits, which would saturate.  Bias and rescaling are part
  of the product (`MatMulIntegerToFloat`).
* Attention is one operator (`MultiHeadAttention`), faster without a mask: runs without padding take a branch of their
  own.  There a text's vector is the same to the bit whether it runs alone or beside others of its length.  With padding
  it is not: the last bit of a softmax decides roundings, and those decide more of them, layer by layer (cosine of the
  two vectors down to 0.997, measured).  So texts of unequal length should not share a run of this graph.
* GELU is the tanh form: its error (5e-4) is far below a rounding step.

Layer norm and the residual sum stay two operators: onnxruntime's fused one is 3x slower than the two (measured).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto

from services.bert.calibrate import READERS, Scale
from services.bert.graph import MICROSOFT, Graph, finish, inputs
from services.bert.weights import Array, Bert, Integers

_LARGEST = 63


def build(bert: Bert, scales: dict[str, Scale]) -> onnx.ModelProto:
    """int64 `[n, tokens]` ids and mask (and segments, for logits) to float32 `[n, d]`."""
    g = Graph()
    hidden = g.node(
        "If",
        g.node("Equal", g.node("ReduceMin", "attention_mask", keepdims=0), g.integer("zero", 0)),
        then_branch=_branch(g.branch("padded"), bert, scales, padded=True),
        else_branch=_branch(g.branch("whole"), bert, scales, padded=False),
    )
    finish(g, hidden, bert)
    return g.as_model(inputs(bert), g.rename("output"), bert.labels)


def _branch(g: Graph, bert: Bert, scales: dict[str, Scale], *, padded: bool) -> onnx.GraphProto:
    mask = ("", g.node("Cast", "attention_mask", to=TensorProto.INT32)) if padded else ()
    return g.as_branch(_Encoder(g, bert, scales, mask).hidden())


@dataclass(frozen=True)
class _Encoder:
    """The layers, in one branch; `mask` are the inputs of attention behind query, key and value."""

    g: Graph
    bert: Bert
    scales: dict[str, Scale]
    mask: tuple[str, ...]

    def hidden(self) -> str:
        x = self._embeddings()
        for layer in range(self.bert.shape.layers):
            x = self._layer(x, f"encoder.layer.{layer}")
        return x

    def _embeddings(self) -> str:
        x = self.g.node("Add", self._words(), self._positions())
        return self.g.layer_norm(self._with_segments(x), "embeddings.LayerNorm", self.bert)

    def _words(self) -> str:
        # Half precision: half the file, and exact to a hundredth of a rounding step.
        table = self.g.constant("words", self.bert["embeddings.word_embeddings.weight"].astype(np.float16))
        return self.g.node("Cast", self.g.node("Gather", table, "input_ids"), to=TensorProto.FLOAT)

    def _positions(self) -> str:
        """With the first segment's vector added, which spares an operator where there is no second."""
        table = self.bert["embeddings.position_embeddings.weight"] + self._segments()[0]
        length = self.g.node("Shape", "input_ids", start=1, end=2)
        return self.g.node("Slice", self.g.constant("positions", table), self.g.integers(0), length, self.g.integers(0))

    def _with_segments(self, x: str) -> str:
        if "token_type_ids" not in inputs(self.bert):
            return x
        table = self.g.constant("segments", self._segments() - self._segments()[0])
        return self.g.node("Add", x, self.g.node("Gather", table, "token_type_ids"))

    def _segments(self) -> Array:
        return self.bert["embeddings.token_type_embeddings.weight"]

    def _layer(self, x: str, prefix: str) -> str:
        projections = self._products(x, prefix, "input")
        heads = self.bert.shape.heads
        mixed = self.g.node("MultiHeadAttention", *projections, *self.mask, domain=MICROSOFT, num_heads=heads)
        (attended,) = self._products(mixed, prefix, "mixed")
        middle = self._norm_of_sum(attended, x, f"{prefix}.attention.output.LayerNorm")
        (wide,) = self._products(middle, prefix, "middle")
        (out,) = self._products(self.g.node("FastGelu", wide, domain=MICROSOFT), prefix, "wide")
        return self._norm_of_sum(out, middle, f"{prefix}.output.LayerNorm")

    def _norm_of_sum(self, x: str, y: str, name: str) -> str:
        return self.g.layer_norm(self.g.node("Add", x, y), name, self.bert)

    def _products(self, x: str, prefix: str, site: str) -> list[str]:
        """Rounds `x` once, for every product that reads it."""
        name, scale = f"{prefix}.{site}", self.scales[f"{prefix}.{site}"]
        if scale.smooth is not None:
            x = self.g.node("Mul", x, self.g.constant(f"{name}.smooth", 1 / scale.smooth))
        step = self.g.scalar(f"{name}.step", float(scale.step))
        zero = self.g.constant(f"{name}.zero", np.array(scale.zero))
        rounded = self.g.node("QuantizeLinear", x, step, zero)
        return [self._product((rounded, step, zero), f"{prefix}.{reader}", scale) for reader in READERS[site]]

    def _product(self, rounded: tuple[str, str, str], name: str, scale: Scale) -> str:
        linear, (x, step, zero) = self.bert.linear(name), rounded
        weights, steps = round_weights(linear.matrix if scale.smooth is None else linear.matrix * scale.smooth[:, None])
        operands = [self.g.constant(f"{name}.weight", weights), step, self.g.constant(f"{name}.steps", steps)]
        bias = self.g.constant(f"{name}.bias", linear.bias)
        return self.g.node("MatMulIntegerToFloat", x, *operands, zero, "", bias, domain=MICROSOFT)


def round_weights(matrix: Array) -> tuple[Integers, Array]:
    """Integers of `[-63, 63]`, and the step of each output channel."""
    steps = (np.maximum(np.abs(matrix).max(axis=0), 1e-8) / _LARGEST).astype(np.float32)
    return np.rint(matrix / steps).astype(np.int8), steps
