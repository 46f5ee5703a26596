"""Backend `hash`: vectors from hashed words and character n-grams, computed in Rust; there is no model to load."""

from __future__ import annotations

from services.backend import Loaded
from services.heads import resolve
from services.heads.shipped import document_frequencies
from waypost.config import Model

DIMENSIONS = 1024
VERSION = "1"
"""Of the hash function: the same text has the same vector for as long as this stays."""


def load(model: Model, sessions: int) -> Loaded:
    """See `services.backend.Backend`."""
    return Loaded(
        kind="hash",
        version=VERSION,
        dimensions=model.dimensions or DIMENSIONS,
        heads=resolve.heads(model.heads, encoder=""),
        document_frequencies=document_frequencies(),
        tags=("embedding", "classify", "rerank", "fast"),
    )
