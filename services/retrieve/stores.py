"""The table of stores: to add one, write a module with an `opened(url, home)` that gives a `Store`, and a line here.

The scheme of a model's `store = "…"` says which; "embedded" is none of these, as it has settings of its own.  A module
is imported when a model asks for it: a worker starts without the packages of stores that it does not use.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Protocol

from services.backend import ModelUnusable
from services.retrieve.store import Store

STORES = {
    "milvus": "services.retrieve.milvus",
    "postgresql": "services.retrieve.postgres",
}

EXTRAS = {"pymilvus": "milvus"}
"""Packages that not every installation has, and the extra that brings them."""


class Open(Protocol):
    """What a store's module has."""

    def __call__(self, url: str, home: Path) -> Store:
        """Opens the store that the URL names; `home` is a folder of its own on this machine.

        Raises:
            services.backend.ModelUnusable: the URL is none of this store's.
            services.refusal.StoreUnreachable: the database does not answer.
        """


def opened(url: str, home: Path) -> Store:
    """The store behind `store = "…"`.

    Raises:
        ModelUnusable: there is no such store, or a package that it needs is not installed.
        services.refusal.StoreUnreachable: the database does not answer.
    """
    scheme = url.partition("://")[0].partition("+")[0]
    if scheme not in STORES:
        raise ModelUnusable(f"store: {scheme!r} is none of embedded, {', '.join(STORES)}")
    try:
        module: Open = import_module(STORES[scheme]).opened
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        install = f"pip install 'waypost[{EXTRAS[error.name]}]'"
        raise ModelUnusable(f"store {scheme!r} needs the package {error.name!r}: run {install}") from None
    return module(url, home)
