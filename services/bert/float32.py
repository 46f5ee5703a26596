"""The fp32 graph, in standard operators only.

onnxruntime fuses GELU and attention's scaling when it loads the file, as well as an offline optimiser would (measured:
bench/README.md).  Pooling and normalisation are part of the graph, so its one output is the finished vector.
"""

from __future__ import annotations

import math

import onnx
from onnx import TensorProto

from services.bert.graph import Graph, attention_scale, finish, inputs
from services.bert.weights import Bert

_MASKED = -10000.0
"""Added to the score of a masked token: far below any real one, and still a float16."""


def build(bert: Bert) -> onnx.ModelProto:
    """int64 `[n, tokens]` ids and mask (and segments, for logits) to float32 `[n, d]`."""
    g = Graph()
    mask, hidden = _mask(g), _embeddings(g, bert)
    for layer in range(bert.shape.layers):
        hidden = _layer(g, hidden, mask, f"encoder.layer.{layer}", bert)
    finish(g, hidden, bert)
    return g.as_model(inputs(bert), g.rename("output"), bert.labels)


def _mask(g: Graph) -> str:
    kept = g.node("Cast", g.node("Unsqueeze", "attention_mask", g.integers(1, 2)), to=TensorProto.FLOAT)
    return g.node("Mul", g.node("Sub", g.scalar("one", 1.0), kept), g.scalar("masked", _MASKED))


def _embeddings(g: Graph, bert: Bert) -> str:
    words = g.node("Gather", g.constant("words", bert["embeddings.word_embeddings.weight"]), "input_ids")
    length = g.node("Shape", "input_ids", start=1, end=2)
    table = g.constant("positions", bert["embeddings.position_embeddings.weight"])
    positions = g.node("Slice", table, g.integers(0), length, g.integers(0))
    placed = g.node("Add", g.node("Add", words, _segments(g, bert)), positions)
    return g.layer_norm(placed, "embeddings.LayerNorm", bert)


def _segments(g: Graph, bert: Bert) -> str:
    table = bert["embeddings.token_type_embeddings.weight"]
    if "token_type_ids" in inputs(bert):
        return g.node("Gather", g.constant("segments", table), "token_type_ids")
    return g.constant("segment_0", table[0])


def _layer(g: Graph, x: str, mask: str, prefix: str, bert: Bert) -> str:
    attended = g.node("Add", _attention(g, x, mask, f"{prefix}.attention", bert), x)
    middle = g.layer_norm(attended, f"{prefix}.attention.output.LayerNorm", bert)
    wide = _gelu(g, _linear(g, middle, f"{prefix}.intermediate.dense", bert))
    out = g.node("Add", _linear(g, wide, f"{prefix}.output.dense", bert), middle)
    return g.layer_norm(out, f"{prefix}.output.LayerNorm", bert)


def _attention(g: Graph, x: str, mask: str, prefix: str, bert: Bert) -> str:
    def split(name: str, order: list[int]) -> str:
        projected = _linear(g, x, f"{prefix}.self.{name}", bert)
        parts = g.node("Reshape", projected, g.integers(0, 0, bert.shape.heads, bert.shape.head_size))
        return g.node("Transpose", parts, perm=order)

    scores = g.node("MatMul", split("query", [0, 2, 1, 3]), split("key", [0, 2, 3, 1]))
    scaled = g.node("Mul", scores, g.scalar("attention_scale", attention_scale(bert)))
    weights = g.node("Softmax", g.node("Add", scaled, mask), axis=-1)
    mixed = g.node("Transpose", g.node("MatMul", weights, split("value", [0, 2, 1, 3])), perm=[0, 2, 1, 3])
    return _linear(g, g.node("Reshape", mixed, g.integers(0, 0, bert.shape.hidden)), f"{prefix}.output.dense", bert)


def _linear(g: Graph, x: str, name: str, bert: Bert) -> str:
    return g.linear(x, name, bert.linear(name))


def _gelu(g: Graph, x: str) -> str:
    """x/2 (1 + erf(x / sqrt 2)), the exact form BERT was trained with."""
    erf = g.node("Erf", g.node("Div", x, g.scalar("sqrt_2", math.sqrt(2.0))))
    return g.node("Mul", g.node("Mul", x, g.node("Add", erf, g.scalar("one", 1.0))), g.scalar("half", 0.5))
