"""JSON lines in, rows out, plain or gzipped."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.heads.errors import BadRow, MissingData

Row = dict[str, Any]


def rows(path: Path) -> Iterator[Row]:
    """The objects of a JSON lines file; see `numbered`."""
    return (row for _, row in numbered(path))


def numbered(path: Path) -> Iterator[tuple[int, Row]]:
    """The objects of a JSON lines file, each with the number of its line.

    Raises:
        MissingData: there is no such file.
        BadRow: a line is no JSON object.
    """
    if not path.exists():
        raise MissingData(path)
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            yield number, _parsed(path, number, line)


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        yield from file


def _parsed(path: Path, number: int, line: str) -> Row:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadRow(path, number, f"not JSON ({error.msg})") from error
    if not isinstance(row, dict):
        raise BadRow(path, number, "not an object")
    return row
