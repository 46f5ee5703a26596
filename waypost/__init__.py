"""Waypost serves models over gRPC from a mesh of ordinary machines.

`Client` and `AsyncClient` call it, the command `waypost` runs it.  Names load on first use: workers and the router
import this package too, and need neither grpcio nor its threads.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from waypost.aio import AsyncClient
    from waypost.client import Client
    from waypost.errors import CallerError, RetryableError, ServerError, WaypostError
    from waypost.tls import Tls

__all__ = [
    "AsyncClient",
    "CallerError",
    "Client",
    "RetryableError",
    "ServerError",
    "Tls",
    "WaypostError",
    "__version__",
]

_HOMES = {
    "AsyncClient": "waypost.aio",
    "CallerError": "waypost.errors",
    "Client": "waypost.client",
    "RetryableError": "waypost.errors",
    "ServerError": "waypost.errors",
    "Tls": "waypost.tls",
    "WaypostError": "waypost.errors",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("waypost._core").version
    if name not in _HOMES:
        raise AttributeError(f"module 'waypost' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
