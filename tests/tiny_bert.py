"""Model folders with a BERT of random weights: the graph of the real ones, and a few kilobytes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from services.bert.weights import PARTS
from tests.plane import PIECES, tokenizer_file

HIDDEN, WIDE, LAYERS, HEADS, POSITIONS = 32, 64, 2, 4, 64
TABLES = {"word_embeddings": len(PIECES), "position_embeddings": POSITIONS, "token_type_embeddings": 2}


def write(folder: Path, *, labels: int = 0, facts: str = "") -> Path:
    """A folder with weights, sizes, tokenizer and, where given, `model.toml`; `labels` makes it a classifier."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(_tensors(labels), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(_config()))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_file()))
    (folder / "model.toml").write_text(facts or f'name = "tiny"\ndimensions = {HIDDEN}\nmax_tokens = {POSITIONS}\n')
    return folder


def _config() -> dict[str, object]:
    return {
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "hidden_size": HIDDEN,
        "vocab_size": len(PIECES),
        "layer_norm_eps": 1e-12,
    }


def _tensors(labels: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(5)
    shapes = {f"embeddings.{table}": (rows, HIDDEN) for table, rows in TABLES.items()}
    shapes |= {f"encoder.layer.{layer}.{part}": _shape(part) for layer in range(LAYERS) for part in PARTS}
    shapes |= {"pooler.dense": (HIDDEN, HIDDEN), "classifier": (labels, HIDDEN)} if labels else {}
    tensors = {f"{name}.weight": random.normal(0, 0.15, shape) for name, shape in shapes.items()}
    tensors |= {f"{name}.bias": random.normal(0, 0.1, shape[0]) for name, shape in shapes.items()}
    norms = [f"encoder.layer.{layer}.{part}" for layer in range(LAYERS) for part in PARTS if "LayerNorm" in part]
    for name in (*norms, "embeddings.LayerNorm"):
        tensors |= {f"{name}.weight": random.uniform(0.5, 1.5, HIDDEN), f"{name}.bias": random.normal(0, 0.1, HIDDEN)}
    return {name: tensor.astype(np.float32) for name, tensor in tensors.items()}


def _shape(part: str) -> tuple[int, int]:
    wide = {"intermediate.dense": (WIDE, HIDDEN), "output.dense": (HIDDEN, WIDE)}
    return wide.get(part, (HIDDEN, HIDDEN))
