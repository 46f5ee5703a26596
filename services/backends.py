"""The table of backends: to add one, write a module with a `load` as `services.backend.Backend` says, and a line here.

A name here is what `backend = "…"` of the configuration may say (`waypost.config.Model`).  A module is imported when a
model asks for it: a worker starts without the packages of backends it does not use.
"""

from __future__ import annotations

from importlib import import_module

from services.backend import Backend, ModelUnusable

BACKENDS = {
    "onnx": "services.onnx",
    "hash": "services.hashing",
    "llama": "services.llama",
    "remote": "services.remote",
    "retrieve": "services.retrieve",
    "template": "services.template",
    "xllama": "services.xllama",
}

EXTRAS = {"openai": "remote", "tenacity": "remote", "xllamacpp": "xllama"}
"""Packages that not every installation has, and the extra that brings them."""


def backend(name: str) -> Backend:
    """The `load` of a backend.

    Raises:
        ModelUnusable: a package that it needs is not installed.
    """
    try:
        load: Backend = import_module(BACKENDS[name]).load
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        install = f"pip install 'waypost[{EXTRAS[error.name]}]'"
        raise ModelUnusable(f"backend {name!r} needs the package {error.name!r}: run {install}") from None
    return load
