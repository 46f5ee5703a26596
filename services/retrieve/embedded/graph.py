"""A graph over the vectors of a namespace (HNSW, Malkov and Yashunin 2016; by hnswlib): it finds the nearest without
looking at all of them.

A graph is not changed once it is searched: it is copied, the copy grows, and takes its place; so queries never wait.
What was removed since stays in it, and is taken out of what it finds.  hnswlib asks a filter in Python once per vector
it touches, with the GIL held; here more is looked for than is wanted, and what does not pass is dropped afterwards.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import hnswlib
import numpy as np
from numpy.typing import NDArray

from services.retrieve.store import Vectors

LINKS = 16
"""Of a vector on each layer (M)."""
CARE = 200
"""Candidates looked at for a vector that comes in (ef_construction)."""
LOOKED_AT = 128
"""Candidates looked at by a query, or as many as it wants where that is more (ef)."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Graph:
    """Vectors of all rows up to `row`."""

    index: hnswlib.Index
    row: int
    size: int

    @classmethod
    def built(cls, dimensions: int, rows: Rows, vectors: Vectors) -> Graph:
        """Of at least one row, ascending."""
        index = hnswlib.Index(space="ip", dim=dimensions)
        index.init_index(max_elements=len(rows), M=LINKS, ef_construction=CARE, random_seed=1)
        return cls(index, 0, 0)._with(rows, vectors)

    def grown(self, rows: Rows, vectors: Vectors) -> Graph:
        """A copy with more rows in it."""
        index = pickle.loads(pickle.dumps(self.index))
        index.resize_index(self.size + len(rows))
        return Graph(index, self.row, self.size)._with(rows, vectors)

    def _with(self, rows: Rows, vectors: Vectors) -> Graph:
        self.index.add_items(vectors, rows)
        self.index.set_ef(LOOKED_AT)
        return Graph(self.index, int(rows[-1]), self.size + len(rows))

    def nearest(self, vectors: Vectors, limit: int, threads: int) -> tuple[Rows, NDArray[np.float32]]:
        """Rows and cosines, `[n, min(limit, size)]`, best first.

        Raises:
            RuntimeError: so many cannot be reached from where the search begins.
        """
        rows, distances = self.index.knn_query(vectors, k=min(limit, self.size), num_threads=threads)
        return rows.astype(np.int64), (1.0 - distances).astype(np.float32)

    def save(self, path: Path) -> None:
        """Whole or not at all."""
        draft = path.with_suffix(".draft")
        self.index.save_index(str(draft))
        draft.rename(path)

    @classmethod
    def read(cls, path: Path, dimensions: int, row: int) -> Graph:
        """As it was saved.

        Raises:
            RuntimeError: the file is broken or gone.
        """
        index = hnswlib.Index(space="ip", dim=dimensions)
        index.load_index(str(path))
        index.set_ef(LOOKED_AT)
        return cls(index, row, index.get_current_count())

    @property
    def bytes(self) -> int:
        """In memory, about: vectors, links of the lowest layer, labels."""
        return self.size * (self.index.dim * 4 + LINKS * 2 * 4 + 16)
