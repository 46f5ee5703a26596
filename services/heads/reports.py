"""What is measured of a head: named reports, listed in one table, each turning predictions into figures.

A report looks only at rows it has something to say about: accuracy at texts with a label, out-of-scope at those
without one beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from services.heads import metrics
from services.heads.calibrate import energy
from services.heads.examples import Examples
from services.heads.logistic import Floats, log_softmax
from services.heads.metrics import Figure
from services.heads.spec import Spec

UNKNOWN = -1


@dataclass(frozen=True)
class Predictions:
    """A head's logits for examples, and what follows from them."""

    spec: Spec
    labels: Sequence[str]
    examples: Examples
    logits: Floats
    temperature: float
    energy_threshold: float | None
    seed: int

    @cached_property
    def truth(self) -> NDArray[np.intp]:
        index = {label: i for i, label in enumerate(self.labels)}
        return np.array([index.get(label, UNKNOWN) for label in self.examples.labels], dtype=np.intp)

    @cached_property
    def guess(self) -> NDArray[np.intp]:
        return self.logits.argmax(axis=1)

    @cached_property
    def log_probabilities(self) -> Floats:
        return log_softmax(self.logits / self.temperature)

    @cached_property
    def known(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.truth != UNKNOWN)

    def over_known(self, name: str, statistic: metrics.Statistic) -> Figure:
        """A bootstrapped figure over the rows that have a label; `statistic` takes row indices."""
        return metrics.bootstrapped(name, lambda at: statistic(self.known[at]), len(self.known), self.seed)


Report = Callable[[Predictions], Iterator[Figure]]


def accuracy(p: Predictions) -> Iterator[Figure]:
    yield metrics.share("accuracy", (p.guess == p.truth)[p.known])


def macro_f1(p: Predictions) -> Iterator[Figure]:
    yield p.over_known("macro-F1", lambda at: metrics.macro_f1(p.truth[at], p.guess[at], len(p.labels)))


def log_loss(p: Predictions) -> Iterator[Figure]:
    yield p.over_known("log loss", lambda at: -float(p.log_probabilities[at, p.truth[at]].mean()))


def calibration_error(p: Predictions) -> Iterator[Figure]:
    confidence, right = np.exp(p.log_probabilities.max(axis=1)), p.guess == p.truth
    yield p.over_known("calibration error", lambda at: metrics.calibration_error(confidence[at], right[at]))


def auc(p: Predictions) -> Iterator[Figure]:
    """One against the rest, of every label; with two labels, of the second."""
    first = 1 if len(p.labels) == 2 else 0
    for index, label in list(enumerate(p.labels))[first:]:
        yield p.over_known(f"AUC {label}", _ranking(_log_odds(p.log_probabilities, index), p.truth == index))


def out_of_scope(p: Predictions) -> Iterator[Figure]:
    energies, outside = energy(p.logits), p.truth == UNKNOWN
    yield metrics.bootstrapped(
        "out-of-scope AUROC", lambda at: metrics.auroc(energies[at], outside[at]), len(energies), p.seed
    )
    if p.energy_threshold is not None:
        refused = energies > p.energy_threshold
        yield metrics.share("out-of-scope texts caught", refused[outside])
        yield metrics.share("known texts refused", refused[~outside])


def alarms(p: Predictions) -> Iterator[Figure]:
    """How many texts of each true label raise the spec's alarm."""
    alarm = p.labels.index(p.spec.alarm)
    for index, label in enumerate(p.labels):
        if (p.truth == index).any():
            yield metrics.share(f"{label} texts flagged {p.spec.alarm}", p.guess[p.truth == index] == alarm)


def recall_at_alarm_share(p: Predictions) -> Iterator[Figure]:
    """Recall where the threshold is set on these very rows: what ranking allows, not what a deployment gets."""
    alarm = p.labels.index(p.spec.alarm)
    scores = _log_odds(p.log_probabilities, alarm)
    threshold = metrics.threshold_for(scores[p.truth != alarm], p.spec.alarm_share)
    yield metrics.share(f"recall at {p.spec.alarm_share:.0%} false alarms", scores[p.truth == alarm] > threshold)


def apgr(p: Predictions) -> Iterator[Figure]:
    """Prompts sent to the strong model: the most complex first, the longest first."""
    weak, strong = p.examples.columns["weak_right"], p.examples.columns["strong_right"]
    orders = {
        "APGR, most complex first": p.log_probabilities[:, p.labels.index("complex")],
        "APGR, longest first": _lengths(p.examples),
    }
    for name, order in orders.items():
        yield p.over_known(name, _recovery(order, weak, strong))


def _ranking(scores: Floats, positive: metrics.Flags) -> metrics.Statistic:
    return lambda at: metrics.auroc(scores[at], positive[at])


def _recovery(order: Floats, weak: metrics.Flags, strong: metrics.Flags) -> metrics.Statistic:
    return lambda at: metrics.apgr(order[at], weak[at], strong[at])


def _lengths(examples: Examples) -> Floats:
    return np.array([len(text) for text in examples.texts], dtype=np.float64)


def _log_odds(log_probabilities: Floats, index: int) -> Floats:
    mine = log_probabilities[:, index]
    return mine - np.log(-np.expm1(np.minimum(mine, -1e-12)))


REPORTS: Mapping[str, Report] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "log_loss": log_loss,
    "calibration_error": calibration_error,
    "auc": auc,
    "out_of_scope": out_of_scope,
    "alarms": alarms,
    "recall_at_alarm_share": recall_at_alarm_share,
    "apgr": apgr,
}
