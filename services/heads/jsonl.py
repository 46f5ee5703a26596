"""JSON lines in, rows out: the public data sets' files and a user's own `{"text": ..., "label": ...}`."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.heads.errors import BadRow, MissingData, NoExamples, UnknownFormat
from services.heads.examples import Dataset, Examples, Source, distinct, held_out

ENDINGS = (".jsonl", ".jsonl.gz")
OWN_SPLIT_SEED = 20
HELD_OUT_SHARE = 0.2


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON lines file.

    Raises:
        MissingData: there is no such file.
        UnknownFormat: its name ends in none of `ENDINGS`.
        BadRow: a line is no JSON object.
    """
    if not path.exists():
        raise MissingData(path)
    if not path.name.endswith(ENDINGS):
        raise UnknownFormat(path, ", ".join(f"*{ending}" for ending in ENDINGS))
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            yield _parsed(path, number, line)


def own_examples(path: Path) -> Examples:
    """A user's examples, each text once.

    Raises:
        BadRow: a line lacks its text or label.
        NoExamples: the file is empty.
    """
    texts, labels = [], []
    for number, row in enumerate(rows(path), start=1):
        texts.append(_string(path, number, row, "text"))
        labels.append(_string(path, number, row, "label"))
    if not texts:
        raise NoExamples(path.name)
    return distinct(Examples(texts, labels))


def own(path: Path) -> Dataset:
    """A user's examples with a fifth kept aside."""
    train, kept = held_out(own_examples(path), HELD_OUT_SHARE, OWN_SPLIT_SEED)
    source = Source(path.name, "the user's own file", "the user's")
    return Dataset(train, kept, [source], "a fifth of the examples, label by label")


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        yield from file


def _parsed(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadRow(path, number, f"not JSON ({error.msg})") from error
    if not isinstance(row, dict):
        raise BadRow(path, number, "not an object")
    return row


def _string(path: Path, number: int, row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadRow(path, number, f"{key!r} is missing or not a text")
    return value
