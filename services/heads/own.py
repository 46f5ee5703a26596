"""A user's own labels, from five examples each: JSON lines or CSV in, a data set and its spec out.

The same regression as for the shipped heads: with five examples a label its penalty makes it a nearest-centroid
classifier (Banking77: .758 beside .761), with more it leaves centroids behind, so there is no second method.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from services.heads import examples, jsonl
from services.heads.errors import BadRow, MissingData, UnknownFormat
from services.heads.examples import Dataset, Examples, Source
from services.heads.jsonl import Row
from services.heads.spec import Spec

SPLIT_SEED = 20
HELD_OUT_SHARE = 0.2
KNOWN = "*.jsonl, *.jsonl.gz, *.csv with the columns text and label, all in UTF-8"


def spec(name: str, encoder: str) -> Spec:
    """A spec that suits few examples and many; `encoder` empty: hashed features alone."""
    return Spec(
        name=name,
        purpose="Trained on the user's own examples.",
        encoder=encoder,
        buckets=4096,
        dense_penalty=1e-4,
        hashed_penalty=1e-4,
        scales=(0.1, 1.0, 10.0),
        refused=0.05,
        limitations=("Knows what its examples show and nothing else: measure on texts of your own.",),
    )


def dataset(path: Path) -> Dataset:
    """The examples of a file, each text once, with a fifth kept aside.

    Raises:
        HeadError: the file is not there or not readable, a row lacks its text or label, or there are too few.
    """
    found = _examples(path)
    examples.check(found, path.name)
    train, kept = examples.held_out(found, HELD_OUT_SHARE, SPLIT_SEED)
    source = Source(path.name, "the user's own file", "the user's")
    return Dataset(train, kept, [source], "a fifth of the examples, label by label")


def _examples(path: Path) -> Examples:
    try:
        pairs = [(_cell(path, n, row, "text"), _cell(path, n, row, "label")) for n, row in _rows(path)]
    except UnicodeDecodeError:
        raise UnknownFormat(path, KNOWN) from None
    return examples.distinct(Examples([text for text, _ in pairs], [label for _, label in pairs]))


def _rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Rows with the number that an editor shows for them."""
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return jsonl.numbered(path)
    if path.suffix == ".csv":
        return _csv(path)
    raise UnknownFormat(path, KNOWN)


def _csv(path: Path) -> Iterator[tuple[int, Row]]:
    if not path.exists():
        raise MissingData(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        yield from ((reader.line_num, row) for row in reader)


def _cell(path: Path, number: int, row: Row, key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadRow(path, number, f"{key!r} is missing or not a text")
    return value
