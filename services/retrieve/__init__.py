"""Backend `retrieve`: namespaces of documents, found by meaning, by words, or both.

The worker's shell has checked a request and made its vectors before it comes here; `library` answers it from a store,
of which `stores` has the table and `store` the interface.
"""

from __future__ import annotations

from pathlib import Path

from services.backend import Library, ModelUnusable
from services.refusal import StoreUnreachable
from services.retrieve import embedded, stores
from services.retrieve.library import serve
from services.retrieve.store import Store
from waypost import places
from waypost._core import Desk
from waypost.config import Model, Retrieve

VERSION = "1"
"""Of what is stored; it changes when what was stored before can no longer be read."""


def load(model: Model, sessions: int) -> Library:
    """See `services.backend.Backend`."""
    settings = model.retrieve or Retrieve()
    store = _opened(model.name, settings)

    def answer(desk: Desk) -> None:
        serve(desk, store, settings)

    return Library(VERSION, answer, model.encoder, model.reranker, tags=("retrieve",))


def _opened(name: str, settings: Retrieve) -> Store:
    home = Path(settings.folder) if settings.folder else places.home() / "documents" / name
    try:
        if settings.store == "embedded":
            return embedded.opened(home, max_bytes=settings.max_bytes, exact_up_to=settings.exact_up_to)
        return stores.opened(settings.store, home)
    except StoreUnreachable as error:
        raise ModelUnusable(f"model {name!r}: its store cannot be opened: {error.why}") from None
