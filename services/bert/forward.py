"""BERT in numpy: the reference that the graphs are checked against, and the probe that calibration looks through.

Written for reading, from the paper's definition; nothing here is shared with the code that builds the graphs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.bert.weights import Bert

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]
Gelu = Callable[[Floats], Floats]
Observe = Callable[[str, Floats], None]

_erf = np.frompyfunc(math.erf, 1, 1)


def exact_gelu(x: Floats) -> Floats:
    """The form BERT was trained with."""
    return x * 0.5 * (1 + _erf(x / math.sqrt(2)).astype(x.dtype))


def tanh_gelu(x: Floats) -> Floats:
    """Within 5e-4 of the exact one, and a hundred times faster in numpy."""
    return x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def _ignore(name: str, values: Floats) -> None:
    pass


@dataclass(frozen=True)
class Forward:
    """A model, the precision to compute it in, and who is shown the input of each matrix product."""

    bert: Bert
    dtype: type[np.floating] = np.float64
    gelu: Gelu = exact_gelu
    observe: Observe = _ignore

    def __call__(self, ids: Ints, mask: Ints, types: Ints | None = None) -> Floats:
        x = self._embed(ids, np.zeros_like(ids) if types is None else types)
        for layer in range(self.bert.shape.layers):
            x = self._layer(x, mask, f"encoder.layer.{layer}")
        return self._finish(x, mask)

    def _embed(self, ids: Ints, types: Ints) -> Floats:
        words, positions = self._get("embeddings.word_embeddings.weight"), np.arange(ids.shape[1])
        segments = self._get("embeddings.token_type_embeddings.weight")[types]
        x = words[ids] + self._get("embeddings.position_embeddings.weight")[positions] + segments
        return self._norm(x, "embeddings.LayerNorm")

    def _layer(self, x: Floats, mask: Ints, prefix: str) -> Floats:
        self.observe(f"{prefix}.input", x)
        mixed = self._attend(x, mask, f"{prefix}.attention.self")
        self.observe(f"{prefix}.mixed", mixed)
        attended = self._linear(mixed, f"{prefix}.attention.output.dense")
        middle = self._norm(attended + x, f"{prefix}.attention.output.LayerNorm")
        self.observe(f"{prefix}.middle", middle)
        wide = self.gelu(self._linear(middle, f"{prefix}.intermediate.dense"))
        self.observe(f"{prefix}.wide", wide)
        return self._norm(self._linear(wide, f"{prefix}.output.dense") + middle, f"{prefix}.output.LayerNorm")

    def _attend(self, x: Floats, mask: Ints, prefix: str) -> Floats:
        query, key, value = (self._heads(self._linear(x, f"{prefix}.{name}")) for name in ("query", "key", "value"))
        scores = query @ key.swapaxes(2, 3) / math.sqrt(self.bert.shape.head_size)
        scores = np.where(mask[:, None, None, :] == 1, scores, -np.inf)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = weights / weights.sum(axis=-1, keepdims=True) @ value
        return mixed.swapaxes(1, 2).reshape(x.shape)

    def _heads(self, x: Floats) -> Floats:
        n, tokens, _ = x.shape
        return x.reshape(n, tokens, self.bert.shape.heads, -1).swapaxes(1, 2)

    def _finish(self, x: Floats, mask: Ints) -> Floats:
        if self.bert.shape.output == "logits":
            return self._linear(np.tanh(self._linear(x[:, 0], "pooler.dense")), "classifier")
        pooled = x[:, 0] if self.bert.shape.pooling == "cls" else _mean(x, mask)
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)

    def _linear(self, x: Floats, name: str) -> Floats:
        rows = x.reshape(-1, x.shape[-1]) @ self._get(f"{name}.weight").T + self._get(f"{name}.bias")
        return rows.reshape(*x.shape[:-1], -1)

    def _norm(self, x: Floats, name: str) -> Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self.bert.shape.layer_norm_eps)
        return centred / spread * self._get(f"{name}.weight") + self._get(f"{name}.bias")

    def _get(self, name: str) -> Floats:
        return self.bert[name].astype(self.dtype, copy=False)


def _mean(x: Floats, mask: Ints) -> Floats:
    kept = mask[:, :, None].astype(x.dtype)
    return (x * kept).sum(axis=1) / kept.sum(axis=1)
