"""LoRA adapters of a model, by the names that requests use.

They are loaded once, beside the model; one of them, or none, is in the context at a time, so a step is of requests
with the same adapter.  Putting in another one takes microseconds.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.backend import ModelUnusable
from services.llama import library
from services.llama.library import api
from services.llama.model import Model, check_file
from services.refusal import AdapterNotFound

NONE = -1


class Adapters:
    """Adapters by index, in the order of the configuration."""

    def __init__(self, model: Model, files: Mapping[str, Path]) -> None:
        """Loads them all.

        Raises:
            ModelUnusable: a file is broken, or of another model.
        """
        self.names = tuple(files)
        self._model = model
        self._loaded = [_load(model, name, path) for name, path in files.items()]
        self._applied: int | None = None

    def index(self, name: str) -> int:
        """Of the adapter called `name`; -1 for "".

        Raises:
            AdapterNotFound: there is none of this name.
        """
        if not name:
            return NONE
        if name not in self.names:
            raise AdapterNotFound(name, ", ".join(self.names) or "none")
        return self.names.index(name)

    def apply(self, index: int | None) -> None:
        """Puts an adapter into the context, or takes it out."""
        if index == self._applied:
            return
        chosen = [] if index is None else [self._loaded[index]]
        pointers = (api().llama_adapter_lora_p_ctypes * 1)(*chosen)
        scales = (ctypes.c_float * 1)(1.0)
        api().llama_set_adapters_lora(self._model.ctx, pointers, len(chosen), scales)
        self._applied = index


def _load(model: Model, name: str, path: Path) -> Any:
    check_file(path)
    with library.hearing() as said:
        adapter = api().llama_adapter_lora_init(model.handle, str(path).encode())
    if not adapter:
        why = said[-1] if said else "llama.cpp does not say why"
        raise ModelUnusable(f"adapter {name!r}: {path} is no LoRA adapter of {model.path.name}: {why}")
    return adapter
