"""Collects the nodes and weights of an ONNX graph; every method returns the name of what it made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from services.bert.weights import Bert, Linear

OPSET = 17
MICROSOFT = "com.microsoft"
"""Domain of onnxruntime's own fused operators."""


class Graph:
    """A graph under construction."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, NDArray[np.generic]] = {}
        self.prefix = ""

    def branch(self, prefix: str) -> Graph:
        """A subgraph, for `If`: nodes of its own, weights of its parent's."""
        branch = Graph()
        branch.initializers, branch.prefix = self.initializers, f"{self.prefix}{prefix}."
        return branch

    def node(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        output = f"{self.prefix}{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=output, domain=domain, **attributes))
        return output

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.initializers[name] = value
        return name

    def integers(self, *values: int) -> str:
        return self.constant("i_" + "_".join(map(str, values)), np.array(values, np.int64))

    def integer(self, name: str, value: int) -> str:
        return self.constant(name, np.array(value, np.int64))

    def scalar(self, name: str, value: float) -> str:
        return self.constant(name, np.array(value, np.float32))

    def linear(self, x: str, name: str, weights: Linear) -> str:
        product = self.node("MatMul", x, self.constant(f"{name}.weight", weights.matrix))
        return self.node("Add", product, self.constant(f"{name}.bias", weights.bias))

    def layer_norm(self, x: str, name: str, bert: Bert) -> str:
        scale, bias = (self.constant(f"{name}.{part}", bert[f"{name}.{part}"]) for part in ("weight", "bias"))
        return self.node("LayerNormalization", x, scale, bias, axis=-1, epsilon=bert.shape.layer_norm_eps)

    def rename(self, name: str) -> str:
        """Gives the last node's output a name of its own."""
        self.nodes[-1].output[0] = name
        return name

    def as_branch(self, output: str) -> onnx.GraphProto:
        return helper.make_graph(self.nodes, self.prefix, [], [tensor(output, TensorProto.FLOAT)])

    def as_model(self, inputs: Sequence[str], output: str, columns: int) -> onnx.ModelProto:
        """A checked model from int64 inputs `[n, tokens]` to one float32 output `[n, columns]`."""
        graph = helper.make_graph(
            self.nodes,
            "bert",
            [tensor(name, TensorProto.INT64, "n", "tokens") for name in inputs],
            [tensor(output, TensorProto.FLOAT, "n", columns)],
            [numpy_helper.from_array(array, name) for name, array in self.initializers.items()],
        )
        domains = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=domains, producer_name="waypost")
        model.ir_version = 10
        onnx.checker.check_model(model)
        return model


def tensor(name: str, kind: int, *dims: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(dims) or None)


def inputs(bert: Bert) -> tuple[str, ...]:
    """Vectors are of one text, all of it of the first segment; logits may be of a pair."""
    one = ("input_ids", "attention_mask")
    return (*one, "token_type_ids") if bert.shape.output == "logits" else one


def attention_scale(bert: Bert) -> float:
    return 1 / math.sqrt(bert.shape.head_size)


def finish(g: Graph, hidden: str, bert: Bert) -> str:
    """From the last hidden states `[n, tokens, d]` to the output: pooled unit vectors, or logits."""
    if bert.shape.output == "logits":
        return _logits(g, _first_token(g, hidden), bert)
    pooled = _first_token(g, hidden) if bert.shape.pooling == "cls" else _mean(g, hidden)
    norm = g.node("ReduceL2", pooled, axes=[1], keepdims=1)
    return g.node("Div", pooled, g.node("Max", norm, g.scalar("norm_floor", 1e-12)))


def _first_token(g: Graph, hidden: str) -> str:
    return g.node("Gather", hidden, g.integer("first", 0), axis=1)


def _mean(g: Graph, hidden: str) -> str:
    """Over the tokens that the mask keeps."""
    kept = g.node("Unsqueeze", g.node("Cast", "attention_mask", to=TensorProto.FLOAT), g.integers(2))
    total = g.node("ReduceSum", g.node("Mul", hidden, kept), g.integers(1), keepdims=0)
    count = g.node("ReduceSum", kept, g.integers(1), keepdims=0)
    return g.node("Div", total, g.node("Max", count, g.scalar("tiny", 1e-9)))


def _logits(g: Graph, first: str, bert: Bert) -> str:
    pooled = g.node("Tanh", g.linear(first, "pooler.dense", bert.linear("pooler.dense")))
    return g.linear(pooled, "classifier", bert.linear("classifier"))
