"""Figures with intervals: what a model card may claim.

Shares get Wilson intervals, everything else percentile bootstraps over rows; both 95 %.  Functions take arrays and
know nothing of heads, so that each can be checked against a case worked by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Flags = NDArray[np.bool_]
Statistic = Callable[[NDArray[np.intp]], float]

NORMAL_95 = 1.959964
BOOTSTRAP_ROUNDS = 500


@dataclass(frozen=True)
class Figure:
    """One measured number: its value, its 95 % interval and the rows it was measured on."""

    name: str
    value: float
    low: float
    high: float
    rows: int


def share(name: str, hits: Flags) -> Figure:
    """The share of true flags, with its Wilson score interval."""
    n, p, z = len(hits), float(np.mean(hits)), NORMAL_95
    middle, spread = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return Figure(name, p, float(middle - spread) / scale, float(middle + spread) / scale, n)


def bootstrapped(name: str, statistic: Statistic, rows: int, seed: int) -> Figure:
    """`statistic(row indices)` of all rows, with a percentile interval over resamples.

    Resamples where it is undefined are left out.
    """
    generator = np.random.default_rng(seed)
    samples = [statistic(generator.integers(0, rows, rows)) for _ in range(BOOTSTRAP_ROUNDS)]
    low, high = np.nanquantile(samples, [0.025, 0.975])
    return Figure(name, statistic(np.arange(rows)), float(low), float(high), rows)


def auroc(scores: Floats, positive: Flags) -> float:
    """Chance that a positive row scores above a negative one, ties counting half; NaN without both kinds."""
    wins = int(positive.sum()), int((~positive).sum())
    if 0 in wins:
        return float("nan")
    _values, where, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[where]
    return float((ranks[positive].sum() - wins[0] * (wins[0] + 1) / 2) / (wins[0] * wins[1]))


def macro_f1(truth: NDArray[np.intp], guess: NDArray[np.intp], classes: int) -> float:
    """Mean over the classes present of the harmonic mean of precision and recall."""
    right = np.bincount(truth[truth == guess], minlength=classes)
    seen = np.bincount(truth, minlength=classes) + np.bincount(guess, minlength=classes)
    return float(np.mean(2 * right[seen > 0] / seen[seen > 0]))


def calibration_error(confidence: Floats, right: Flags, bins: int = 15) -> float:
    """Mean distance between confidence and accuracy over equally filled bins."""
    order = np.array_split(np.argsort(confidence, kind="stable"), bins)
    gaps = [abs(float(confidence[part].mean() - right[part].mean())) * len(part) for part in order if len(part)]
    return sum(gaps) / len(confidence)


def threshold_for(scores: Floats, allowed: float) -> float:
    """The threshold that at most the share `allowed` of `scores` exceeds."""
    return float(np.quantile(scores, 1 - allowed, method="higher"))


def apgr(difficulty: Floats, weak_right: Flags, strong_right: Flags) -> float:
    """Average performance gap recovered (RouteLLM, Ong et al. 2024): 0 weak alone, 1 strong alone, 0.5 by lot.

    The area under "share of the gap between weak and strong that is won back" over "share of prompts sent to the
    strong model", hardest first; equally difficult prompts are sent in proportion.
    """
    gap = float(strong_right.sum()) - float(weak_right.sum())
    if gap == 0:
        return float("nan")
    _, group, size = np.unique(-difficulty, return_inverse=True, return_counts=True)
    gain = np.bincount(group, weights=strong_right.astype(float) - weak_right.astype(float))
    recovered = np.concatenate([[0.0], np.cumsum(gain) / gap])
    sent = np.concatenate([[0.0], np.cumsum(size) / size.sum()])
    return float(np.trapezoid(recovered, sent))
