"""Settings chosen by cross-validation: penalty, temperature, energy threshold, alarm level.

All come from the training part's out-of-fold logits, so the held-out part stays unseen until it is measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.heads import calibrate
from services.heads.logistic import Block, Floats, Weights, fit, log_softmax
from services.heads.metrics import threshold_for
from services.heads.spec import Spec


@dataclass(frozen=True)
class Problem:
    """What is to be learnt: columns of every row, and the index of its label."""

    spec: Spec
    labels: Sequence[str]
    design: Sequence[Block]
    targets: NDArray[np.intp]

    def scaled(self, factor: float) -> Problem:
        return Problem(self.spec, self.labels, [block.scaled(factor) for block in self.design], self.targets)

    def rows(self, index: NDArray[np.intp]) -> Problem:
        return Problem(self.spec, self.labels, [block.rows(index) for block in self.design], self.targets[index])

    def joined(self, other: Problem) -> Problem:
        design = [mine.stacked(theirs) for mine, theirs in zip(self.design, other.design, strict=True)]
        return Problem(self.spec, self.labels, design, np.concatenate([self.targets, other.targets]))

    def solve(self) -> Weights:
        return fit(self.design, self.targets, len(self.labels))


@dataclass(frozen=True)
class Settings:
    """What cross-validation decided.

    Attributes:
        scale: factor on the spec's penalties.
        losses: out-of-fold log loss of every factor tried.
        temperature: divisor of the logits.
        energy_threshold: above it a text is out of scope; None without such a test.
        alarm_shift: taken from the alarm label's bias.
    """

    scale: float
    losses: Mapping[str, float]
    temperature: float
    energy_threshold: float | None
    alarm_shift: float


def cross_validate(problem: Problem, fold: NDArray[np.intp]) -> Settings:
    """The best of the spec's penalties, and the calibration that goes with it."""
    tried = {scale: _Trial.run(problem.scaled(scale), fold) for scale in problem.spec.scales}
    scale = min(tried, key=lambda factor: tried[factor].loss)
    spec, logits = problem.spec, tried[scale].logits
    return Settings(
        scale=scale,
        losses={str(factor): trial.loss for factor, trial in tried.items()},
        temperature=tried[scale].temperature,
        energy_threshold=None if spec.refused is None else calibrate.energy_threshold(logits, spec.refused),
        alarm_shift=_alarm_shift(problem, logits) if spec.alarm else 0.0,
    )


@dataclass(frozen=True)
class _Trial:
    logits: Floats
    temperature: float
    loss: float

    @classmethod
    def run(cls, problem: Problem, fold: NDArray[np.intp]) -> _Trial:
        logits = _out_of_fold(problem, fold)
        temperature = calibrate.temperature(logits, problem.targets)
        scores = log_softmax(logits / temperature)
        return cls(logits, temperature, -float(scores[np.arange(len(scores)), problem.targets].mean()))


def _out_of_fold(problem: Problem, fold: NDArray[np.intp]) -> Floats:
    logits = np.zeros((len(fold), len(problem.labels)))
    for number in np.unique(fold):
        asked = np.flatnonzero(fold == number)
        taught = problem.rows(np.flatnonzero(fold != number))
        logits[asked] = taught.solve().logits(problem.rows(asked).design)
    return logits


def _alarm_shift(problem: Problem, logits: Floats) -> float:
    """How far the alarm label of two must lead to win over the allowed share of the other's texts only."""
    alarm = problem.labels.index(problem.spec.alarm)
    lead = logits[:, alarm] - logits[:, 1 - alarm]
    return threshold_for(lead[problem.targets != alarm], problem.spec.alarm_share)
