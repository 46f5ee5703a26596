"""From logits to claims: a temperature for the probabilities, a threshold for "unlike anything I was taught", a line
from scores to log odds.

All are set on out-of-fold logits: a model's logits on its own training rows are too sure.  The free energy
`-logsumexp(logits)` separates unknown texts better than the largest probability does (Liu et al. 2020), and unlike it
does not depend on the temperature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

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


@dataclass(frozen=True)
class Scale:
    """How a regression's value and a text's length become one score.

    Attributes:
        spread: standard deviation of the regression, out of fold.
        length_mean: of the training texts' `ln(1 + bytes)`.
        length_spread: its standard deviation.
        length_weight: standard deviations of the score per standard deviation of the length.
    """

    spread: float
    length_mean: float
    length_spread: float
    length_weight: float

    def score(self, value: Floats, length: Floats) -> Floats:
        return value / self.spread + self.length_weight * (length - self.length_mean) / self.length_spread


@dataclass(frozen=True)
class Calibration:
    """The run log's settings: log odds of `complex` = `slope` x score + `offset` (Platt 2000)."""

    scale: Scale
    slope: float
    offset: float

    def logits(self, score: Floats) -> Floats:
        half = (self.slope * score + self.offset) / 2
        return np.stack([half, -half], axis=1)


def line(scale: Scale, scores: Floats, positive: NDArray[np.bool_]) -> Calibration:
    """The log odds under which `positive` are likeliest."""
    signs = np.where(positive, 1.0, -1.0)

    def surprise(line: Floats) -> float:
        return float(np.logaddexp(0, -signs * (line[0] * scores + line[1])).mean())

    slope, offset = minimize(surprise, np.array([1.0, 0.0]), method="BFGS").x
    return Calibration(scale, float(slope), float(offset))
