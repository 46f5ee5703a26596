"""The embedded store: documents in files of this worker, searched in its memory.

`_core.Documents` has the truth (SQLite), the words (BM25) and the exact search; `graphs` finds the nearest among more
vectors than can be looked at one by one.  Without the package hnswlib all are looked at.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import structlog

from services.backend import ModelUnusable
from services.retrieve.embedded.store import Embedded
from waypost._core import Documents

log = structlog.get_logger()

NEVER = 2**62
"""More vectors than there are."""


def opened(home: Path, *, max_bytes: int, exact_up_to: int) -> Embedded:
    """The store in the folder `home`.

    Raises:
        ModelUnusable: its files cannot be opened, or another process has them open.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        documents = Documents(str(home / "documents.sqlite"), max_bytes=max_bytes)
    except OSError as error:
        raise ModelUnusable(f"the documents in {home} cannot be opened: {error}") from None
    if importlib.util.find_spec("hnswlib") is None:
        log.warning("documents: all vectors are searched one by one: run pip install 'waypost[retrieve]'")
        exact_up_to = NEVER
    return Embedded(documents, home / "graphs", max_bytes=max_bytes, exact_up_to=exact_up_to)
