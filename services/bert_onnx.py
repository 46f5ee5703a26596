"""BERT encoder weights (safetensors) to ONNX, without torch.

The graph uses standard operators only: onnxruntime fuses attention, GELU and
layer normalisation when it loads the file, as well as an offline optimiser
would (measured: bench/README.md).  Pooling and normalisation are part of the
graph, so a session's one output is the finished vector.

Use the hub's own ONNX file where a model publishes one; this is for weights
that come without.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

OPSET = 17
MASK_VALUE = np.float32(-10000.0)


@dataclass(frozen=True)
class BertShape:
    """The part of a BERT `config.json` that decides the graph."""

    layers: int
    heads: int
    hidden: int
    layer_norm_eps: float = 1e-12

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads


class _Graph:
    """Collects nodes and weights; every method returns the name it made."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, np.ndarray] = {}

    def node(self, op: str, *inputs: str, **attributes: object) -> str:
        output = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=output, **attributes))
        return output

    def weight(self, name: str, *, transpose: bool = False) -> str:
        key = f"{name}.T" if transpose else name
        array = self.weights[name].astype(np.float32)
        self.initializers[key] = np.ascontiguousarray(array.T if transpose else array)
        return key

    def constant(self, name: str, value: np.ndarray) -> str:
        self.initializers[name] = value
        return name

    def integers(self, *values: int) -> str:
        return self.constant("i_" + "_".join(map(str, values)), np.array(values, np.int64))

    def scalar(self, name: str, value: float) -> str:
        return self.constant(name, np.array(value, np.float32))

    def linear(self, x: str, name: str) -> str:
        product = self.node("MatMul", x, self.weight(f"{name}.weight", transpose=True))
        return self.node("Add", product, self.weight(f"{name}.bias"))

    def layer_norm(self, x: str, name: str, eps: float) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.node("LayerNormalization", x, scale, bias, axis=-1, epsilon=eps)


def _embeddings(g: _Graph, eps: float) -> str:
    words = g.node("Gather", g.weight("embeddings.word_embeddings.weight"), "input_ids", axis=0)
    types = g.weights["embeddings.token_type_embeddings.weight"][0]
    length = g.node("Shape", "input_ids", start=1, end=2)
    positions = g.node(
        "Slice", g.weight("embeddings.position_embeddings.weight"), g.integers(0), length, g.integers(0)
    )
    typed = g.node("Add", words, g.constant("token_type_0", types.astype(np.float32)))
    return g.layer_norm(g.node("Add", typed, positions), "embeddings.LayerNorm", eps)


def _attention(g: _Graph, x: str, mask: str, prefix: str, shape: BertShape) -> str:
    def split(name: str, order: list[int]) -> str:
        projected = g.linear(x, f"{prefix}.self.{name}")
        parts = g.node("Reshape", projected, g.integers(0, 0, shape.heads, shape.head_size))
        return g.node("Transpose", parts, perm=order)

    query, value = split("query", [0, 2, 1, 3]), split("value", [0, 2, 1, 3])
    scores = g.node("MatMul", query, split("key", [0, 2, 3, 1]))
    scaled = g.node("Div", scores, g.scalar("attention_scale", float(np.sqrt(shape.head_size))))
    weights = g.node("Softmax", g.node("Add", scaled, mask), axis=-1)
    mixed = g.node("Transpose", g.node("MatMul", weights, value), perm=[0, 2, 1, 3])
    joined = g.node("Reshape", mixed, g.integers(0, 0, shape.hidden))
    return g.linear(joined, f"{prefix}.output.dense")


def _gelu(g: _Graph, x: str) -> str:
    """x/2 (1 + erf(x / sqrt 2)), the exact form BERT was trained with."""
    erf = g.node("Erf", g.node("Div", x, g.scalar("sqrt_2", float(np.sqrt(2.0)))))
    return g.node("Mul", g.node("Mul", x, g.node("Add", erf, g.scalar("one", 1.0))), g.scalar("half", 0.5))


def _layer(g: _Graph, x: str, mask: str, index: int, shape: BertShape) -> str:
    prefix, eps = f"encoder.layer.{index}", shape.layer_norm_eps
    attended = g.node("Add", _attention(g, x, mask, f"{prefix}.attention", shape), x)
    middle = g.layer_norm(attended, f"{prefix}.attention.output.LayerNorm", eps)
    wide = _gelu(g, g.linear(middle, f"{prefix}.intermediate.dense"))
    out = g.node("Add", g.linear(wide, f"{prefix}.output.dense"), middle)
    return g.layer_norm(out, f"{prefix}.output.LayerNorm", eps)


def _mean_pool(g: _Graph, hidden: str, mask_float: str) -> str:
    """Mean over unmasked tokens, then unit length: `[n, tokens, d] -> [n, d]`."""
    kept = g.node("Unsqueeze", mask_float, g.integers(2))
    total = g.node("ReduceSum", g.node("Mul", hidden, kept), g.integers(1), keepdims=0)
    count = g.node("ReduceSum", kept, g.integers(1), keepdims=0)
    mean = g.node("Div", total, g.node("Max", count, g.scalar("tiny", 1e-9)))
    norm = g.node("ReduceL2", mean, axes=[1], keepdims=1)
    return g.node("Div", mean, g.node("Max", norm, g.scalar("norm_floor", 1e-12)))


def build(weights: dict[str, np.ndarray], shape: BertShape) -> onnx.ModelProto:
    """The encoder as a graph: `input_ids`, `attention_mask` [n, tokens] int64 -> `embedding` [n, hidden] float32."""
    g = _Graph(weights)
    mask_float = g.node("Cast", "attention_mask", to=TensorProto.FLOAT)
    absent = g.node("Sub", g.scalar("mask_one", 1.0), g.node("Unsqueeze", mask_float, g.integers(1, 2)))
    mask = g.node("Mul", absent, g.scalar("mask_value", float(MASK_VALUE)))
    hidden = _embeddings(g, shape.layer_norm_eps)
    for index in range(shape.layers):
        hidden = _layer(g, hidden, mask, index, shape)
    g.node("Identity", _mean_pool(g, hidden, mask_float))
    g.nodes[-1].output[0] = "embedding"

    def tensor(name: str, kind: int, *dims: object) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, list(dims))

    graph = helper.make_graph(
        g.nodes,
        "bert_encoder",
        [
            tensor("input_ids", TensorProto.INT64, "n", "tokens"),
            tensor("attention_mask", TensorProto.INT64, "n", "tokens"),
        ],
        [tensor("embedding", TensorProto.FLOAT, "n", shape.hidden)],
        [numpy_helper.from_array(array, name) for name, array in g.initializers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="waypost")
    model.ir_version = 10
    onnx.checker.check_model(model)
    return model


def convert(weights: Path, shape: BertShape, target: Path) -> None:
    """Write the ONNX file of `weights` (safetensors) to `target`.

    Raises:
        KeyError: a tensor the shape asks for is not in the file.
    """
    onnx.save(build(load_file(weights), shape), str(target))
