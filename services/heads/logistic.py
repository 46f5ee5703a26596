"""Multinomial logistic regression over blocks of features, each with a penalty of its own.

Minimises `mean cross-entropy + sum over blocks of penalty/2 * |W|^2` with L-BFGS; the bias is free.  The problem is
convex and starts at zero, so the answer depends on the data alone.  Blocks may be dense (encoder vectors) or sparse
(hashed n-grams): one penalty for both would drown one in the other.

Ridge regression on one-hot targets is faster and worse: on CLINC150 an accuracy of .908 beside .955.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array, vstack

Floats = NDArray[np.float64]
Matrix: TypeAlias = Floats | csr_array

MAX_STEPS = 1000
TOLERANCE = 1e-8


@dataclass(frozen=True)
class Block:
    """Columns of the design that share a penalty: `[rows, columns]`."""

    name: str
    matrix: Matrix
    penalty: float

    @property
    def columns(self) -> int:
        return int(self.matrix.shape[1])

    def rows(self, index: NDArray[np.intp]) -> Block:
        return Block(self.name, self.matrix[index], self.penalty)

    def stacked(self, below: Block) -> Block:
        both = [self.matrix, below.matrix]
        return Block(self.name, np.vstack(both) if isinstance(self.matrix, np.ndarray) else vstack(both), self.penalty)

    def scaled(self, factor: float) -> Block:
        return Block(self.name, self.matrix, self.penalty * factor)


@dataclass(frozen=True)
class Weights:
    """`logits = sum over blocks of matrix @ weight.T + bias`; each weight is `[classes, columns]`."""

    blocks: dict[str, Floats]
    bias: Floats

    def logits(self, blocks: Sequence[Block]) -> Floats:
        return self.bias + sum(np.asarray(b.matrix @ self.blocks[b.name].T) for b in blocks)


def fit(blocks: Sequence[Block], targets: NDArray[np.intp], classes: int) -> Weights:
    """The weights that minimise the penalised cross-entropy of `targets` (class indices, one per row)."""
    width = sum(block.columns for block in blocks) + 1
    start = np.zeros(classes * width)
    options = {"maxiter": MAX_STEPS, "maxfun": 2 * MAX_STEPS, "ftol": TOLERANCE, "gtol": 1e-6}
    arguments = (blocks, np.eye(classes)[targets])
    found = minimize(_loss, start, args=arguments, jac=True, method="L-BFGS-B", options=options)
    return _unpack(found.x, blocks, classes)


def log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _loss(flat: Floats, blocks: Sequence[Block], wanted: Floats) -> tuple[float, Floats]:
    weights = _unpack(flat, blocks, wanted.shape[1])
    scores = log_softmax(weights.logits(blocks))
    residual = (np.exp(scores) - wanted) / len(wanted)
    value = -float((scores * wanted).sum()) / len(wanted)
    value += sum(block.penalty / 2 * float((weights.blocks[block.name] ** 2).sum()) for block in blocks)
    return value, _pack(_gradients(blocks, weights, residual), residual.sum(axis=0))


def _gradients(blocks: Sequence[Block], weights: Weights, residual: Floats) -> Iterator[Floats]:
    for block in blocks:
        yield np.asarray(block.matrix.T @ residual).T + block.penalty * weights.blocks[block.name]


def _pack(parts: Iterator[Floats], bias: Floats) -> Floats:
    return np.concatenate([*(part.ravel() for part in parts), bias])


def _unpack(flat: Floats, blocks: Sequence[Block], classes: int) -> Weights:
    ends = np.cumsum([classes * block.columns for block in blocks])
    parts = np.split(flat, ends)
    weights = {block.name: part.reshape(classes, -1) for block, part in zip(blocks, parts, strict=False)}
    return Weights(weights, parts[-1])
