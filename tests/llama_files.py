"""GGUF files for tests, and greedy decoding without the engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from services.llama.engine import Batch
from services.llama.library import api
from services.llama.model import Model

LAYER = "blk.29.ffn_down.weight"
INPUTS, OUTPUTS = 1536, 576
"""Of that layer of SmolLM2-135M."""


def lora(
    path: Path, *, architecture: str = "llama", inputs: int = INPUTS, seed: int = 0, strength: float = 0.5
) -> Path:
    """Writes an adapter of rank 1 that changes what the model says."""
    from gguf import GGUFWriter

    random = np.random.default_rng(seed)
    writer = GGUFWriter(path, architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 1.0)
    writer.add_tensor(f"{LAYER}.lora_a", random.normal(size=(1, inputs)).astype(np.float32))
    writer.add_tensor(f"{LAYER}.lora_b", (strength * random.normal(size=(OUTPUTS, 1))).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def greedy(model: Model, text: str, tokens: int) -> list[int]:
    """What the model goes on with, in its first sequence."""
    prompt, batch = model.tokenize(text, special=True, bos=True), Batch(256)
    api().llama_memory_clear(model.memory, True)
    logits = _decode(model, batch, prompt, 0)
    found: list[int] = []
    while len(found) < tokens:
        found.append(int(logits.argmax()))
        logits = _decode(model, batch, np.array(found[-1:]), len(prompt) + len(found) - 1)
    return found


def _decode(model: Model, batch: Batch, tokens: np.ndarray, begin: int) -> np.ndarray:
    rows = len(tokens)
    batch.tokens[:rows], batch.positions[:rows] = tokens, begin + np.arange(rows)
    batch.slots[:rows], batch.logits[:rows] = 0, np.arange(rows) == rows - 1
    assert api().llama_decode(model.ctx, batch.of(rows)) == 0
    return np.ctypeslib.as_array(api().llama_get_logits(model.ctx), (model.vocab_size,)).copy()
