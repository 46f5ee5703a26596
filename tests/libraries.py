"""Meshes that keep documents, as `waypost up` starts them."""

from __future__ import annotations

MESH = """
[router]
listen = "127.0.0.1:0"

[[workers]]
name = "library"

[[workers.models]]
name = "hash"
backend = "hash"
dimensions = 256

[[workers.models]]
name = "documents"
backend = "retrieve"
encoder = "hash"
retrieve = { sweep_s = 0.2%s }
"""


def mesh(**settings: object) -> str:
    """A mesh with an embedded store, and more of its settings (numbers and plain strings)."""
    more = "".join(
        f', {name} = "{value}"' if isinstance(value, str) else f", {name} = {value}" for name, value in settings.items()
    )
    return MESH % more
