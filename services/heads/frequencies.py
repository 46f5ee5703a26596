"""In how many texts each word occurs, so that BM25 over a few candidates knows which words are rare.

Counted over the public data sets below: requests, bank questions, tweets, film reviews, exam questions and prompts.
Only hashes of words and counts are kept; a word of a single text is left out, as the table's reader takes what it does
not know for rare.  `rust_core/text/src/bm25.rs` defines the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from services.heads import datasets
from services.heads.headfile import Tensors, write_tensors
from waypost._core import word_keys

FORMAT = "waypost.df.v1"
LEAST = 2
COUNTED = (
    ("intent_clinc150", "text"),
    ("intent_banking77_train", "text"),
    ("toxicity_davidson_train", "text"),
    ("sentiment_sst2", "text"),
    ("router_outcomes_train", "prompt"),
    ("jailbreak_inthewild_train", "text"),
)


def write(path: Path, directory: Path) -> dict[str, int]:
    """Writes the table of the data sets in `directory`; returns how many words and texts it counts.

    Raises:
        MissingData: a data set is not there.
    """
    return save(path, _texts(directory))


def save(path: Path, texts: Iterable[str]) -> dict[str, int]:
    """Writes the table of `texts`; returns how many words and texts it counts."""
    documents, found = 0, Counter[int]()
    for text in texts:
        documents += 1
        found.update(np.unique(word_keys(text)).tolist())
    kept = sorted((key, count) for key, count in found.items() if count >= LEAST)
    tensors: Tensors = {
        "keys": np.array([key for key, _ in kept], dtype=np.uint64),
        "counts": np.array([count for _, count in kept], dtype=np.uint32),
    }
    write_tensors(path, tensors, {"format": FORMAT, "documents": str(documents)})
    return {"words": len(kept), "documents": documents}


def _texts(directory: Path) -> Iterator[str]:
    for file, key in COUNTED:
        yield from datasets.texts(directory, file, key)
