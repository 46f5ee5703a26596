"""What `waypost docs add` does: files → documents → batches → one stream, then away with pieces that are no more.

A file that has become shorter leaves pieces behind that nothing replaces: they are found by their metadata.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waypost.cli import docs_files
from waypost.cli.docs_files import Reader
from waypost.cli.failures import WRONG_USAGE, CommandError
from waypost.documents import Document, Upserted
from waypost.errors import InvalidRequest

if TYPE_CHECKING:
    from waypost.client import Client

BATCH = 64
"""Documents of one request at most."""
BATCH_CHARACTERS = 2**20
"""Beyond this many it has no further one."""
FILES = 64
"""Files whose leftovers are deleted by one request; a filter has 256 tests at most, each file takes three."""


@dataclass
class Added:
    """What became of an import."""

    files: int = 0
    added: int = 0
    replaced: int = 0
    removed: int = 0

    @property
    def documents(self) -> int:
        """So many are kept."""
        return self.added + self.replaced

    def count(self, done: Upserted) -> None:
        """Takes note of a batch."""
        self.added += done.added
        self.replaced += done.replaced


@dataclass
class Import:
    """One run; `options` go with every call."""

    client: Client
    namespace: str
    reader: Reader
    options: Mapping[str, Any]
    done: Added = field(default_factory=Added)
    _pieces: dict[str, int] = field(default_factory=dict)
    _waiting: deque[list[Document]] = field(default_factory=deque)

    def run(self, paths: Iterable[Path], say: Callable[[int], object], **upsert: Any) -> Added:
        """Stores what is in the files; `-` is standard input.  Says how many documents are kept.

        Raises:
            CommandError: a document is refused; those before it are kept.
        """
        batches = self._noted(in_batches(self._documents(paths)))
        try:
            for kept in self.client.upsert_stream(batches, namespace=self.namespace, **upsert, **self.options):
                self._waiting.popleft()
                self.done.count(kept)
                say(self.done.documents)
        except InvalidRequest as error:
            raise CommandError(self._told(error), WRONG_USAGE) from None
        self.done.removed = self._remove_leftovers()
        return self.done

    def _documents(self, paths: Iterable[Path]) -> Iterator[Document]:
        for path in paths:
            self.done.files += 1
            yield from self._of(path)

    def _of(self, path: Path) -> Iterator[Document]:
        if path == STANDARD_INPUT:
            yield from self.reader.lines("-", docs_files.standard_input())
            return
        documents = self.reader.read(path)
        yield from self._counted(path.as_posix(), documents) if docs_files.of_pieces(path) else documents

    def _counted(self, path: str, pieces: Iterable[Document]) -> Iterator[Document]:
        self._pieces[path] = 0
        for piece in pieces:
            self._pieces[path] += 1
            yield piece

    def _noted(self, batches: Iterable[list[Document]]) -> Iterator[list[Document]]:
        for batch in batches:
            self._waiting.append(batch)
            yield batch

    def _told(self, error: InvalidRequest) -> str:
        """The server counts from the beginning of a batch, people know ids."""
        kept = f"{self.done.documents} documents before it are kept"
        found = re.match(r"documents\[(\d+)\]", error.field)
        if not found or not self._waiting:
            return f"{error.message}; {kept}"
        return f"{self._waiting[0][int(found[1])].id}: {error.message}; {kept}"

    def _remove_leftovers(self) -> int:
        paths = list(self._pieces)
        return sum(self._remove(paths[begin : begin + FILES]) for begin in range(0, len(paths), FILES))

    def _remove(self, paths: Iterable[str]) -> int:
        beyond = [{"path": path, "piece": {">=": self._pieces[path]}} for path in paths]
        return self.client.delete(namespace=self.namespace, filter={"$or": beyond}, **self.options)


STANDARD_INPUT = Path("-")


def in_batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """As many as one request takes well."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if len(batch) == BATCH or size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
