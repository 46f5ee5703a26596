"""From a spec and data to a head file, a model card and a run log.

1. Cross-validate on the training part alone: penalty, temperature, energy threshold, alarm level (`validate`).
2. Fit the training part, measure on the held-out part and the further tests: these are the card's figures.
3. Fit training and held-out part together with the same settings: that is what ships.  It is the measured head with
   more examples, and the card says so.

The same arguments give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from services.heads import card, examples, features, runlog, strength
from services.heads.examples import NEEDED_PER_LABEL, Dataset, Examples
from services.heads.features import Embed
from services.heads.headfile import Head
from services.heads.logistic import Block, Floats, Weights
from services.heads.reports import REPORTS, Predictions
from services.heads.runlog import Measurement
from services.heads.spec import Spec
from services.heads.validate import Problem, Settings, cross_validate

HELD_OUT = "held out"
AS_TRAINED = "as trained"
TAUGHT_PER_LABEL = NEEDED_PER_LABEL - 1
"""What five examples of a label leave to learn from, once one is held out."""


Told = Callable[[str], None]


@dataclass(frozen=True)
class TrainedHead:
    """What was written, and what the run log says."""

    head: Head
    log: Mapping[str, object]
    path: Path
    card_path: Path
    log_path: Path


# More threads would round in another order, so the bytes would depend on the machine's cores; and where those are busy,
# OpenBLAS's threads wait for each other and take eighty times as long.
@threadpool_limits.wrap(limits=1, user_api="blas")
def train(
    spec: Spec,
    data: Dataset,
    embed: Embed | None,
    seed: int,
    out_dir: Path,
    also: Mapping[str, Embed] | None = None,
    told: Told = lambda step: None,
) -> TrainedHead:
    """Train `spec` on `data` and write `<name>.safetensors`, `<name>.md` and `<name>.run.json` to `out_dir`.

    Args:
        embed: the encoder, as training shall see it; None for hash-only heads.
        seed: of folds and bootstraps.
        also: further forms of the encoder to measure the same head on, such as its int8 file.
        told: hears of each step as it begins.

    Raises:
        HeadError: the data or the vectors cannot be trained on; the message says why and what to do.
    """
    forms = {AS_TRAINED: embed, **(also or {})}
    if spec.length_weight is not None:
        told("cross-validating")
        learnt = strength.learn(spec, data, forms, seed)
        log = runlog.entries(spec, data, seed, learnt.settings, strength.LABELS, learnt.measurements)
        return _write(learnt.head, log, out_dir)
    known = examples.distinct(data.train.known())
    labels = examples.check(known, "The training part", needed=TAUGHT_PER_LABEL)
    told("reading features")
    problem = _problem(spec, labels, known, embed)
    told("cross-validating")
    settings = cross_validate(problem, examples.folds(known, spec.fold_count, seed))
    problem = problem.scaled(settings.scale)

    told("measuring on the held-out part")
    measured = _head(problem, problem.solve(), settings)
    measurements = list(_measure(spec, measured, data, forms, seed))
    told("fitting all examples")
    everything = problem.joined(_problem(spec, labels, _taught(data.held_out, labels), embed))
    shipped = _head(problem, everything.solve(), settings)
    return _write(shipped, runlog.entries(spec, data, seed, settings, labels, measurements), out_dir)


def _problem(spec: Spec, labels: Sequence[str], rows: Examples, embed: Embed | None) -> Problem:
    index = {label: i for i, label in enumerate(labels)}
    targets = np.array([index[label] for label in rows.labels], dtype=np.intp)
    return Problem(spec, labels, features.blocks(spec, rows.texts, embed), targets)


def _taught(rows: Examples, labels: Sequence[str]) -> Examples:
    return rows.rows(np.flatnonzero([label in labels for label in rows.labels]))


def _head(problem: Problem, weights: Weights, settings: Settings) -> Head:
    spec, bias = problem.spec, weights.bias.copy()
    if spec.alarm:
        bias[problem.labels.index(spec.alarm)] -= settings.alarm_shift
    return Head(
        name=spec.name,
        version=spec.version,
        labels=tuple(problem.labels),
        bias=bias.astype(np.float32),
        matrices={name: matrix.astype(np.float16) for name, matrix in weights.blocks.items()},
        temperature=settings.temperature,
        energy_threshold=settings.energy_threshold,
        experimental=spec.experimental,
        encoder=spec.encoder,
    )


def _measure(
    spec: Spec, head: Head, data: Dataset, encoders: Mapping[str, Embed | None], seed: int
) -> Iterator[Measurement]:
    for part, rows in {HELD_OUT: data.held_out, **data.tests}.items():
        for form, embed in encoders.items():
            logits = _logits(head, features.blocks(spec, rows.texts, embed))
            seen = Predictions(spec, head.labels, rows, logits, head.temperature, head.energy_threshold, seed)
            for report in spec.reports if part == HELD_OUT else spec.test_reports:
                yield from (Measurement(part, form, figure) for figure in REPORTS[report](seen))


def _logits(head: Head, design: Sequence[Block]) -> Floats:
    """With the weights as the file rounds them."""
    blocks = {name: matrix.astype(np.float64) for name, matrix in head.matrices.items()}
    return Weights(blocks, head.bias.astype(np.float64)).logits(design)


def _write(head: Head, log: dict[str, object], out_dir: Path) -> TrainedHead:
    out_dir.mkdir(parents=True, exist_ok=True)
    path, card_path, log_path = (out_dir / f"{head.name}{ending}" for ending in (".safetensors", ".md", ".run.json"))
    head.save(path)
    log["file"] = runlog.file_entry(path)
    log_path.write_text(runlog.dumps(log))
    card_path.write_text(card.render(log))
    return TrainedHead(head, log, path, card_path, log_path)
