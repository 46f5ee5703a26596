"""Files as documents: JSON lines and tables one document a line, texts in pieces with ids that stay.

| file | documents |
|---|---|
| `.jsonl`, `.ndjson`, standard input | a line each: `id`, `text`, `metadata`, `vector`, `expires`, other metadata |
| `.csv`, `.tsv` | a row each, columns likewise; numbers are numbers, `metadata` and `vector` are JSON |
| a folder | its `.txt`, `.md`, `.rst` and those above, or what `--glob` says; hidden ones not |
| any other file | its text in pieces: `path#0`, `path#1`, … with metadata `path`, `piece`, `start`, `end` |

Lines without an id get `path#LINE`.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from waypost.chunks import chunks
from waypost.cli.failures import CommandError
from waypost.cli.where import value
from waypost.documents import Document

LINES = (".jsonl", ".ndjson")
TABLES = {".csv": ",", ".tsv": "\t"}
TEXTS = (".txt", ".md", ".rst")

csv.field_size_limit(2**31 - 1)  # a text is one cell, whatever its length

_OWN = ("id", "text", "metadata", "vector", "expires")


@dataclass(frozen=True)
class Names:
    """What the fields with id and text are called in lines and tables."""

    id: str = "id"
    text: str = "text"


@dataclass(frozen=True)
class Reader:
    """Files as documents; pieces of a text have at most `piece` characters."""

    names: Names = Names()
    piece: int = 1000

    def read(self, path: Path) -> Iterator[Document]:
        """The documents of one file.

        Raises:
            CommandError: it cannot be read so; names file and line.
        """
        try:
            yield from self._read(path)
        except UnicodeDecodeError as error:
            raise CommandError(f"{path}: not UTF-8 at byte {error.start}") from None

    def lines(self, source: str, lines: Iterable[str]) -> Iterator[Document]:
        """A JSON object a line; empty lines do not count."""
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield self._document(source, number, _object(f"{source}:{number}", line))

    def _read(self, path: Path) -> Iterator[Document]:
        suffix = path.suffix.lower()
        if suffix not in LINES and suffix not in TABLES:
            yield from self._pieces(path)
            return
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from self.lines(str(path), file) if suffix in LINES else self._rows(path, file, TABLES[suffix])

    def _rows(self, path: Path, file: TextIO, delimiter: str) -> Iterator[Document]:
        rows = csv.DictReader(file, delimiter=delimiter, strict=True)
        try:
            for row in rows:
                yield self._document(str(path), rows.line_num, self._cells(f"{path}:{rows.line_num}", row))
        except csv.Error as error:
            raise CommandError(f"{path}: no table after line {rows.line_num}: {error}") from None

    def _cells(self, place: str, row: Mapping[str | None, Any]) -> dict[str, Any]:
        """What a row says: empty cells nothing, id and text what is written there."""
        if None in row:
            raise CommandError(f"{place}: more cells than the first line has names")
        kept = {name: cell for name, cell in row.items() if name and cell}
        return {name: self._cell(place, name, cell) for name, cell in kept.items()}

    def _cell(self, place: str, name: str, cell: str) -> Any:
        if name in (self.names.id, self.names.text, "expires"):
            return cell
        return _json(place, cell) if name in ("metadata", "vector") else value(cell)

    def _document(self, source: str, line: int, given: dict[str, Any]) -> Document:
        place = f"{source}:{line}"
        id, text = given.pop(self.names.id, f"{source}#{line}"), given.pop(self.names.text, "")
        known = {name: given.pop(name) for name in _OWN[2:] if name in given}
        metadata = known.get("metadata") or {}
        if not isinstance(text, str) or not isinstance(metadata, Mapping):
            raise CommandError(f"{place}: `{self.names.text}` must be text, and `metadata` an object")
        expires = _moment(place, known.get("expires"))
        return Document(str(id), text, {**metadata, **given}, known.get("vector"), expires)

    def _pieces(self, path: Path) -> Iterator[Document]:
        text = path.read_text("utf-8-sig")
        for number, (start, end) in enumerate(chunks(text, self.piece)):
            metadata = {"path": path.as_posix(), "piece": number, "start": start, "end": end}
            yield Document(f"{path.as_posix()}#{number}", text[start:end], metadata)


def found(paths: Iterable[Path], glob: str = "") -> Iterator[Path]:
    """Files, and what is in folders, in order.

    Raises:
        CommandError: there is no such file.
    """
    for path in paths:
        if not path.exists():
            raise CommandError(f"no such file or folder: {path}")
        yield from _inside(path, glob) if path.is_dir() else [path]


def of_pieces(path: Path) -> bool:
    """Whether a file is stored in pieces."""
    return path.suffix.lower() not in (*LINES, *TABLES)


def standard_input() -> TextIO:
    """Where `-` reads from.

    Raises:
        CommandError: nobody writes there.
    """
    if sys.stdin.isatty():
        raise CommandError("no files: name some, or give JSON lines on standard input")
    return sys.stdin


def _inside(folder: Path, glob: str) -> Iterator[Path]:
    known = (*TEXTS, *LINES, *TABLES)
    for path in sorted(folder.rglob(glob or "*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and (glob or path.suffix.lower() in known):
            yield path


def _json(place: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise CommandError(f"{place}: no JSON: {error}") from None


def _object(place: str, line: str) -> dict[str, Any]:
    read = _json(place, line)
    if not isinstance(read, dict):
        raise CommandError(f"{place}: no JSON object")
    return read


def _moment(place: str, given: Any) -> datetime | None:
    """ISO 8601, or seconds since 1970; of no zone: UTC."""
    if given is None:
        return None
    try:
        read = datetime.fromisoformat(given) if isinstance(given, str) else datetime.fromtimestamp(given, UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise CommandError(f"{place}: `expires` is no moment: {error}") from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)
