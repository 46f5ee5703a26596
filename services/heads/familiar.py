"""What a head remembers of its training texts: a filter of their wording, quantiles of their scores and lengths.

`rust_core/text/src/traffic.rs` defines and reads it.  Everything is calibrated on texts that the fold at hand did not
see: each text of the training set is trivially like the training set.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.heads.headfile import Familiar
from services.heads.logistic import Floats
from waypost._core import pair_keys

FILTER_BYTES = 1 << 18
DOUBT = 2
"""Unseen pairs that every text is taken to have beside its own; the same in `traffic.rs`."""
RANKS = np.linspace(0, 1, 101)
Keys = NDArray[np.uint64]


def familiar(texts: Sequence[str], fold: NDArray[np.intp], scores: Floats, lengths: Floats) -> Familiar:
    """Of training `texts`, with the fold of each and the score of a head that was not taught it."""
    seen = _filter([pair_keys(text) for text in texts])
    return Familiar(
        seen=seen,
        none=float(np.unpackbits(seen).mean()),
        full=float(np.median(shares(texts, fold))),
        scores=np.quantile(scores, RANKS).astype(np.float32),
        lengths=np.quantile(lengths, RANKS).astype(np.float32),
    )


def shares(texts: Sequence[str], fold: NDArray[np.intp]) -> Floats:
    """The share of each text's pairs that the texts of the other folds have."""
    keys, found = [pair_keys(text) for text in texts], np.zeros(len(texts))
    for number in np.unique(fold):
        seen = _filter([keys[i] for i in np.flatnonzero(fold != number)])
        for i in np.flatnonzero(fold == number):
            found[i] = share(seen, keys[i])
    return found


def _filter(keys: Sequence[Keys]) -> NDArray[np.uint8]:
    bits = np.zeros(8 * FILTER_BYTES, dtype=np.uint8)
    bits[_bits(np.concatenate(keys))] = 1
    return np.packbits(bits, bitorder="little")


def share(seen: NDArray[np.uint8], keys: Keys) -> float:
    """Of the pairs with these keys, as `traffic.rs` counts it."""
    at = _bits(keys)
    return float((seen[at >> 3] >> (at & 7) & 1).sum()) / (len(at) + DOUBT)


def _bits(keys: Keys) -> NDArray[np.intp]:
    return ((keys & 0xFFFF_FFFF) * (8 * FILTER_BYTES) >> 32).astype(np.intp)
