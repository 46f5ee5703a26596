"""From logits to claims: a temperature for the probabilities, a threshold for "unlike anything I was taught".

Both are set on out-of-fold logits: a model's logits on its own training rows are too sure.  The free energy
`-logsumexp(logits)` separates unknown texts better than the largest probability does (Liu et al. 2020), and unlike it
does not depend on the temperature.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from services.heads.logistic import Floats, log_softmax
from services.heads.metrics import threshold_for

COLDEST, HOTTEST = 0.05, 20.0


def temperature(logits: Floats, targets: NDArray[np.intp]) -> float:
    """The divisor of the logits under which `targets` are most likely (Guo et al. 2017)."""

    def surprise(log_divisor: float) -> float:
        return -float(log_softmax(logits / np.exp(log_divisor))[np.arange(len(targets)), targets].mean())

    found = minimize_scalar(surprise, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded")
    return float(np.exp(found.x))


def energy(logits: Floats) -> Floats:
    top = logits.max(axis=1)
    return -(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)))


def energy_threshold(logits: Floats, refused: float) -> float:
    """The energy above which the share `refused` of known texts lies."""
    return threshold_for(energy(logits), refused)
