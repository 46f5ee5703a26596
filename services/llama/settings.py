"""How llama.cpp is to run a file: everything decided, nothing "auto" any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Weights = Literal["as_is", "q8_0"]
KvType = Literal["f16", "bf16", "f32", "q8_0"]
GGML_TYPES: dict[KvType, int] = {"f32": 0, "f16": 1, "q8_0": 8, "bf16": 30}
"""`enum ggml_type`; llama-cpp-python lacks some of the names."""


@dataclass(frozen=True)
class Settings:
    """What a context is opened with.

    Attributes:
        weights: the file as it came, or requantised.
        threads: cores that a step computes on.
        unified: one KV cache for all sequences, rather than one each.
        n_batch: most tokens of a step.
        n_ubatch: tokens computed at once within it.
    """

    weights: Weights = "as_is"
    threads: int = 1
    kv_type: KvType = "f16"
    flash_attention: bool = False
    unified: bool = False
    n_batch: int = 512
    n_ubatch: int = 512

    def __str__(self) -> str:
        flash = "on" if self.flash_attention else "off"
        return f"weights {self.weights}, {self.threads} threads, {self.kv_type} KV, flash attention {flash}"
