"""The graphs of all namespaces: read when they are first wanted, built and replaced beside the queries.

A snapshot is a file beside the database, which knows its name and how far it reaches; it is a help at the next start,
never the truth.  One that holds a removed vector is deleted by the next sweep, so that what was forgotten is in no
file; the graph in memory goes on until enough was removed for a new one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
import structlog

from services.retrieve.embedded.graph import Graph, Rows
from services.retrieve.store import Space, Vectors

BATCH = 16_384
"""Vectors that are read at once."""
GROWS_BY = 0.1
"""Share of new vectors at which a graph grows, where these are more than are searched one by one anyway."""
REMOVED = 0.2
"""Share of removed vectors at which a graph is built anew."""

log = structlog.get_logger()


class Documents(Protocol):
    """What is needed of `_core.Documents`."""

    def spaces(self) -> Sequence[tuple[str, str]]: ...
    def figures(self, tenant: str, name: str, now: float) -> dict[str, Any] | None: ...
    def vectors(self, tenant: str, name: str, after: int, limit: int) -> tuple[Rows, Vectors]: ...
    def set_graph(self, tenant: str, name: str, file: str | None, row: int) -> None: ...


class Graphs:
    """Those of one store."""

    def __init__(self, documents: Documents, folder: Path, exact_up_to: int) -> None:
        self._documents, self._folder, self._exact_up_to = documents, folder, exact_up_to
        self._graphs: dict[Space, Graph | None] = {}
        self._reading = Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def of(self, space: Space, now: float) -> Graph | None:
        """The one to be searched, where there is one."""
        if space not in self._graphs:
            with self._reading:
                if space not in self._graphs:
                    self._graphs[space] = self._read(space, now)
        return self._graphs[space]

    def forget(self, space: Space) -> None:
        """Of a namespace that was removed."""
        self._graphs.pop(space, None)

    def tend(self, now: float) -> None:
        """Builds what is due, and removes files that hold what was removed."""
        for tenant, name in self._documents.spaces():
            self._tend(Space(tenant, name), now)
        self._tidy(now)

    def _tend(self, space: Space, now: float) -> None:
        figures = self._figures(space, now)
        if not figures or not figures["dimensions"]:
            return
        graph = self.of(space, now)
        total, indexed = figures["documents"], figures["indexed"]
        removed = 0 if graph is None else graph.size - indexed
        if graph and removed and figures["graph"]:
            self._documents.set_graph(space.tenant, space.name, None, graph.row)
        if total <= self._exact_up_to:
            self._graphs[space] = None
        elif graph is None or removed > REMOVED * graph.size:
            self._put(space, self._built(space, figures["dimensions"]))
        elif total - indexed > max(self._exact_up_to, GROWS_BY * graph.size):
            self._put(space, graph.grown(*self._after(space, graph.row)), keep=not removed)

    def _built(self, space: Space, dimensions: int) -> Graph:
        return Graph.built(dimensions, *self._after(space, 0))

    def _after(self, space: Space, row: int) -> tuple[Rows, Vectors]:
        parts = []
        while len((part := self._documents.vectors(space.tenant, space.name, row, BATCH))[0]):
            parts.append(part)
            row = int(part[0][-1])
        return np.concatenate([rows for rows, _ in parts]), np.concatenate([vectors for _, vectors in parts])

    def _put(self, space: Space, graph: Graph, keep: bool = True) -> None:
        """The graph is searched from now on; where it holds nothing that was removed it is kept in a file, too."""
        if keep:
            path = self._folder / f"{_label(space)}-{graph.row}.hnsw"
            graph.save(path)
            self._documents.set_graph(space.tenant, space.name, path.name, graph.row)
        else:
            self._documents.set_graph(space.tenant, space.name, None, graph.row)
        self._graphs[space] = graph
        log.info("documents: graph built", namespace=space.name, vectors=graph.size)

    def _read(self, space: Space, now: float) -> Graph | None:
        figures = self._figures(space, now)
        if not figures or not figures["graph"]:
            return None
        file, row = figures["graph"]
        try:
            return Graph.read(self._folder / file, figures["dimensions"], row)
        except RuntimeError as error:
            log.warning("documents: a graph cannot be read and is built anew", file=file, error=str(error))
            return None

    def _figures(self, space: Space, now: float) -> dict[str, Any] | None:
        return self._documents.figures(space.tenant, space.name, now)

    def _tidy(self, now: float) -> None:
        """Removes files that no namespace knows."""
        spaces = [Space(*each) for each in self._documents.spaces()]
        known = {figures["graph"][0] for each in spaces if (figures := self._figures(each, now)) and figures["graph"]}
        for path in self._folder.iterdir():
            if path.name not in known:
                path.unlink(missing_ok=True)


def _label(space: Space) -> str:
    """Of a file: two namespaces never have the same."""
    return hashlib.sha256(f"{space.tenant}\0{space.name}".encode()).hexdigest()[:24]
