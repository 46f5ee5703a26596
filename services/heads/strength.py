"""Heads that judge how strong a model a prompt needs, from what a weak and a strong model made of prompts.

What a router wins by the strong model is the *gain*, right minus wrong against the weak one, so that is what is
regressed (ridge, `ridge`), not the label: prompts that both models miss look hard and are no reason to pay.  Such a
regression learns topics, which do not carry over to topics it never saw; length does, a little.  So the length is put
beside it with a fixed weight, in standard deviations, chosen where both in-domain and unseen subjects fare well:
fitted along with the topics it would explain their differences instead.

All figures and the calibration are out-of-fold: every prompt is judged by a head that was taught the other folds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.heads import calibrate, examples, features, ridge
from services.heads.calibrate import Calibration, Scale
from services.heads.examples import Dataset, Examples
from services.heads.familiar import familiar
from services.heads.features import Embed
from services.heads.headfile import Familiar, Head
from services.heads.logistic import Block, Floats, Weights
from services.heads.reports import REPORTS, Predictions
from services.heads.runlog import Measurement
from services.heads.spec import Spec

LABELS = ("complex", "simple")
BY_PROMPT = "prompts of known subjects"
BY_SUBJECT = "unseen subjects"


@dataclass(frozen=True)
class Learnt:
    """A head to ship, its settings, and what it was measured to do."""

    head: Head
    settings: Calibration
    measurements: Sequence[Measurement]


def learn(spec: Spec, data: Dataset, forms: Mapping[str, Embed | None], seed: int) -> Learnt:
    """The head of `spec` from all of `data.train`; the first of `forms` is what training sees."""
    rows = data.train
    designs = {form: features.blocks(spec, rows.texts, embed) for form, embed in forms.items()}
    lengths = features.scalars(rows.texts)[:, 0]
    known, unseen = folds(rows, spec.fold_count, seed)
    values = {form: out_of_fold(designs, form, gain(rows), known) for form in designs}
    taught = next(iter(values.values()))
    scale = Scale(float(taught.std()), float(lengths.mean()), float(lengths.std()), spec.length_weight or 0.0)
    settings = calibrate.line(scale, scale.score(taught, lengths), gain(rows) > 0)
    others = {form: out_of_fold(designs, form, gain(rows), unseen) for form in designs}
    found = {
        (part, form): settings.logits(scale.score(value, lengths))
        for part, each in ((BY_PROMPT, values), (BY_SUBJECT, others))
        for form, value in each.items()
    }
    seen = familiar(rows.texts, known, _complexity(found[BY_PROMPT, next(iter(forms))]), lengths)
    weights = _regressed(next(iter(designs.values())), gain(rows))
    return Learnt(_head(spec, weights, settings, seen), settings, list(_measured(spec, rows, found, seed)))


def folds(rows: Examples, count: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The fold of each prompt, drawn by prompt and by subject."""
    return examples.folds(Examples(rows.texts, rows.labels), count, seed), examples.folds(rows, count, seed)


def gain(rows: Examples) -> Floats:
    """1 where only the strong model is right, -1 where only the weak one is, else 0."""
    return rows.columns["strong_right"].astype(float) - rows.columns["weak_right"].astype(float)


def out_of_fold(designs: Mapping[str, Sequence[Block]], form: str, targets: Floats, fold: NDArray[np.intp]) -> Floats:
    """The regression's value for every row in one form of the encoder, taught the other folds in the first form."""
    taught, values = next(iter(designs.values())), np.zeros(len(targets))
    for number in np.unique(fold):
        rest, asked = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        weights = _regressed([block.rows(rest) for block in taught], targets[rest])
        values[asked] = weights.logits([block.rows(asked) for block in designs[form]])[:, 0]
    return values


def _regressed(design: Sequence[Block], targets: Floats) -> Weights:
    """With a mean of 0 over the rows taught.

    The mean itself would tell the folds apart: where a fold's own rows gain much, those it was taught gain less.
    """
    weights = ridge.fit(design, targets)
    return Weights(weights.blocks, weights.bias - targets.mean())


def _complexity(logits: Floats) -> Floats:
    return 1 / (1 + np.exp(logits[:, 1] - logits[:, 0]))


def _head(spec: Spec, weights: Weights, settings: Calibration, seen: Familiar) -> Head:
    scale = settings.scale
    slopes = {name: settings.slope / scale.spread * row for name, row in weights.blocks.items()}
    length = settings.slope * scale.length_weight / scale.length_spread
    slopes["scalars"] = np.array([[length, 0.0]])
    bias = settings.slope / scale.spread * float(weights.bias[0]) - length * scale.length_mean + settings.offset
    return Head(
        name=spec.name,
        version=spec.version,
        labels=LABELS,
        bias=np.array([bias / 2, -bias / 2], dtype=np.float32),
        matrices={name: np.concatenate([row / 2, -row / 2]).astype(np.float16) for name, row in slopes.items()},
        experimental=spec.experimental,
        encoder=spec.encoder,
        familiar=seen,
    )


def _measured(spec: Spec, rows: Examples, found: Mapping[tuple[str, str], Floats], seed: int) -> Iterator[Measurement]:
    for (part, form), logits in found.items():
        seen = Predictions(spec, LABELS, rows, logits, 1.0, None, seed)
        for report in spec.reports:
            yield from (Measurement(part, form, figure) for figure in REPORTS[report](seen))
