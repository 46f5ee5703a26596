"""Seeded texts for benches: short (~8 words), long (~120 words) and mixed lengths, no two alike.

Words are drawn from a fixed list, so nothing need be downloaded; every text carries its number, so no cache can help.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

WORDS = """
the a of to and in is it you that he was for on are with as his they be at one have this from or had by hot but some
what there we can out other were all your when up use word how said an each she which do their time if will way
about many then them would write like so these her long make thing see him two has look more day could go come did
my sound no most number who over know water than call first people may down side been now find any new work part
take get place made live where after back little only round man year came show every good me give our under name
very through just form much great think say help low line before turn cause same mean differ move right boy old too
does tell sentence set three want air well also play small end put home read hand port large
"""

# Words per text of the mixed set: many short ones and a long tail, as in search and support traffic.
MIXED = (4, 6, 8, 8, 10, 12, 16, 24, 40, 60, 90, 120)


def texts(kind: str, count: int, seed: int = 1) -> list[str]:
    """`count` texts of a kind: "short", "long" or "mixed"."""
    rng = random.Random(f"{kind}-{seed}")
    return [" ".join([*rng.choices(WORDS.split(), k=_words(kind, rng)), str(index)]) for index in range(count)]


def _words(kind: str, rng: random.Random) -> int:
    return {"short": 8, "long": 120}.get(kind) or rng.choice(MIXED)


def padded(tokens: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token ids of texts in one batch, padded to the longest, and the mask of what is no padding."""
    lengths = np.array([[len(ids)] for ids in tokens])
    mask = (np.arange(lengths.max()) < lengths).astype(np.int64)
    batch = np.zeros_like(mask)
    batch[mask == 1] = np.concatenate(tokens)
    return batch, mask
