"""The design of a head as blocks of columns: encoder vectors, hashed n-grams, the size of the text.

Hashing is Rust's own (`waypost._core.hash_features`), so training and serving cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from services.heads.errors import BadVectors, EncoderNeeded
from services.heads.logistic import Block
from services.heads.spec import Spec
from waypost._core import hash_features

Embed = Callable[[list[str]], NDArray[np.floating]]
"""Unit vectors of texts, one row each."""

SCALAR_PENALTY = 1e-4


def blocks(spec: Spec, texts: Sequence[str], embed: Embed | None) -> list[Block]:
    """The columns `spec` asks for, of every text.

    Raises:
        EncoderNeeded: the head reads vectors and `embed` is None.
        BadVectors: the vectors do not match the texts, or are not finite.
    """
    design = []
    if spec.encoder:
        design.append(Block("weight", vectors(spec.name, texts, embed), spec.dense_penalty))
    if spec.buckets:
        design.append(Block("hashed", hashed(texts, spec.buckets), spec.hashed_penalty))
    if spec.scalars:
        design.append(Block("scalars", scalars(texts), SCALAR_PENALTY))
    return design


def vectors(head: str, texts: Sequence[str], embed: Embed | None) -> NDArray[np.float64]:
    if embed is None:
        raise EncoderNeeded(head)
    found = np.asarray(embed(list(texts)), dtype=np.float64)
    if found.ndim != 2 or len(found) != len(texts):
        raise BadVectors(f"have shape {found.shape} for {len(texts)} texts")
    broken = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(broken):
        raise BadVectors(f"hold NaN or infinity for {len(broken)} texts, the first at row {broken[0]}")
    return found


def hashed(texts: Sequence[str], buckets: int) -> csr_array:
    indptr, indices, values = hash_features(texts, buckets)
    return csr_array((values.astype(np.float64), indices, indptr), shape=(len(texts), buckets))


def scalars(texts: Sequence[str]) -> NDArray[np.float64]:
    """`ln(1 + bytes)` and `ln(1 + words)`."""
    sizes = [(len(text.encode()), len(text.split())) for text in texts]
    return np.log1p(np.array(sizes, dtype=np.float64).reshape(-1, 2))
