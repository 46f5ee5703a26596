"""Labelled texts and the parts they are kept in.

The held-out part never meets training or tuning.  Where texts repeat with small changes, or come in topics, `groups`
say which belong together, and no group is ever cut by a split: a head must not be asked what it was taught.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.heads.errors import NoExamples, OneLabel, TooFewExamples

OUTSIDE = ""
"""The label of a text that belongs to no label."""

NEEDED_PER_LABEL = 5
"""Fewer examples than this say more about themselves than about their label."""


@dataclass(frozen=True)
class Examples:
    """Texts, a label each, and where they apply a group and further columns each."""

    texts: Sequence[str]
    labels: Sequence[str]
    groups: Sequence[str] = ()
    columns: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.texts)

    def rows(self, index: NDArray[np.intp]) -> Examples:
        def pick(values: Sequence[str]) -> list[str]:
            return [values[i] for i in index] if values else []

        columns = {name: column[index] for name, column in self.columns.items()}
        return Examples(pick(self.texts), pick(self.labels), pick(self.groups), columns)

    def known(self) -> Examples:
        """Only the texts that have a label."""
        return self.rows(np.flatnonzero([label != OUTSIDE for label in self.labels]))

    def digest(self) -> str:
        """SHA-256 over the texts and labels, in order."""
        lines = (f"{label}\0{text}\0" for text, label in zip(self.texts, self.labels, strict=True))
        return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class Source:
    """Where data came from, as the model card names it."""

    title: str
    repository: str
    licence: str


@dataclass(frozen=True)
class Dataset:
    """What a head learns from, what it is measured on, and further tests it shall be measured on beside."""

    train: Examples
    held_out: Examples
    sources: Sequence[Source]
    held_out_is: str
    tests: Mapping[str, Examples] = field(default_factory=dict)

    def digest(self) -> str:
        parts = [self.train, self.held_out, *self.tests.values()]
        return hashlib.sha256("".join(part.digest() for part in parts).encode()).hexdigest()


def joined(parts: Iterable[Examples]) -> Examples:
    """All rows of `parts`, texts and labels only."""
    kept = list(parts)
    texts = [text for part in kept for text in part.texts]
    return Examples(texts, [label for part in kept for label in part.labels])


def distinct(examples: Examples) -> Examples:
    """The first of each text."""
    first: dict[str, int] = {}
    for row, text in enumerate(examples.texts):
        first.setdefault(text, row)
    return examples.rows(np.array(list(first.values()), dtype=np.intp))


def check(examples: Examples, where: str, needed: int = NEEDED_PER_LABEL) -> list[str]:
    """The labels in order, after making sure that a head can be learnt from `examples`, found at `where`.

    Raises:
        NoExamples: there is no text.
        OneLabel: there are not two labels.
        TooFewExamples: a label has fewer than `needed` texts.
    """
    if not len(examples):
        raise NoExamples(where)
    labels, counts = np.unique(np.array(examples.labels, dtype=object), return_counts=True)
    if len(labels) < 2:
        raise OneLabel([str(label) for label in labels])
    for label, count in zip(labels, counts, strict=True):
        if count < needed:
            raise TooFewExamples(str(label), int(count), needed)
    return [str(label) for label in labels]


def folds(examples: Examples, count: int, seed: int) -> NDArray[np.intp]:
    """The fold of each row, 0 to `count - 1`: evenly filled, labels spread evenly, no group cut."""
    groups = np.unique(examples.groups or np.arange(len(examples)), return_inverse=True)[1]
    members = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[members], np.arange(groups.max() + 1))
    sizes = np.bincount(groups)
    fill, chosen = np.zeros(count, dtype=np.intp), np.zeros(len(sizes), dtype=np.intp)
    for group in _label_by_label([examples.labels[members[start]] for start in starts], seed):
        chosen[group] = np.argmin(fill)
        fill[chosen[group]] += sizes[group]
    return chosen[groups]


def _label_by_label(labels: Sequence[str], seed: int) -> NDArray[np.intp]:
    order = np.random.default_rng(seed).permutation(len(labels))
    return order[np.argsort(np.array([labels[i] for i in order]), kind="stable")]


def held_out(examples: Examples, share: float, seed: int) -> tuple[Examples, Examples]:
    """`examples` cut in two: the part to learn from, and about `share` of the rows to keep aside."""
    fold = folds(examples, round(1 / share), seed)
    return examples.rows(np.flatnonzero(fold != 0)), examples.rows(np.flatnonzero(fold == 0))
