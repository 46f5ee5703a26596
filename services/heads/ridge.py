"""Ridge regression over blocks of features, each with a penalty of its own.

Minimises `mean squared error / 2 + sum over blocks of penalty/2 * |w|^2` by conjugate gradients; the bias is free.  A
step costs one pass over the features, so that tens of thousands of columns take a second.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array, hstack
from scipy.sparse.linalg import LinearOperator, cg

from services.heads.logistic import Block, Floats, Weights

MAX_STEPS = 200
TOLERANCE = 1e-4


def fit(blocks: Sequence[Block], targets: Floats) -> Weights:
    """One row of weights per block, and a bias, that predict `targets`."""
    parts = [csr_array(block.matrix) for block in blocks]
    columns = hstack([*parts, csr_array(np.ones((len(targets), 1)))], format="csr")
    penalties = np.concatenate([*(np.full(block.columns, block.penalty) for block in blocks), [0.0]])

    def curvature(weights: Floats) -> Floats:
        return np.asarray(columns.T @ (columns @ weights)) / len(targets) + penalties * weights

    shape = (len(penalties), len(penalties))
    wanted = np.asarray(columns.T @ targets) / len(targets)
    found, _ = cg(LinearOperator(shape, curvature, dtype=np.float64), wanted, rtol=TOLERANCE, maxiter=MAX_STEPS)
    rows = np.split(found, np.cumsum([block.columns for block in blocks]))
    return Weights({block.name: row[None] for block, row in zip(blocks, rows, strict=False)}, rows[-1])
