"""An encoder in this process, for training and measuring; serving goes through the worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from services.onnx import graph, located, run_of
from waypost._core import Tokenizer

Encode = Callable[[Sequence[str]], NDArray[np.float32]]


def open_encoder(source: str = "all-minilm-l6-v2", precision: str = "float32") -> Encode:
    """Texts to unit vectors `[n, dimensions]`, one text a run; texts that are too long are cut.

    Raises:
        waypost.catalogue.CatalogueError: the model is not here.
        services.backend.ModelUnusable: its files are broken.
    """
    folder, facts = located(source)
    tokenizer = Tokenizer(str(folder / "tokenizer.json"), facts.max_tokens)
    run = run_of(graph(folder, facts, precision), facts)

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        rows = [np.array([ids]) for ids in tokenizer.encode(list(texts), truncate=True)]
        vectors = [run(ids, np.ones_like(ids), np.zeros_like(ids)) for ids in rows]
        return np.concatenate(vectors) if vectors else np.empty((0, facts.dimensions), np.float32)

    return encode
