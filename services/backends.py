"""The table of backends: to add one, write a module with a `load` as `services.backend.Backend` says, and a line here.

A name here is what `backend = "…"` of the configuration may say (`waypost.config.Model`).
"""

from __future__ import annotations

from services import hashing, onnx
from services.backend import Backend

BACKENDS: dict[str, Backend] = {
    "onnx": onnx.load,
    "hash": hashing.load,
}
