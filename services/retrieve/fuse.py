"""Makes one result of what was found by vector and by words: closeness, and how far the words stand out.

A document's score is

    (c - b) / (1 - b)  +  0.3 * max(0, w - f) / m

where `c` is its cosine, `b` the last cosine of the search (that of documents about something else, and the most that
one not found may have), `w` its score by words, `m` the best of these and `f` the twentieth. The first term is the
share of the way from there to the very same text, so that encoders count alike whose cosines all lie in a narrow
band. The second is about nothing where many documents share the query's words about as much, and large where few do,
as with a name, a code or a number, which is where encoders fail. Both are free of the searches' own scales, and
hardly change with how many documents the searches are asked for.

Beside it, on the half of each collection that nothing was chosen by (`python -m bench.fusion`): reciprocal ranks
(Cormack et al. 2009), which most stores use, fall behind the vectors alone, since a rank does not say how much better
the first is than the second; sums of scaled scores (Bruch et al. 2023, "An Analysis of Fusion Functions for Hybrid
Retrieval") with four parts in five for the vectors are as good with a good encoder, and clearly worse with vectors of
hashed words. These know no more than words do: there `QUERY_MODE_BM25` finds as much as any fusion.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.retrieve.store import Found, Key

Fused = tuple[Key, float, float | None, float | None]
"""A document, its score, its cosine and its score by words, where it has them."""

WORDS = 0.3
COMMON = 20
"""So many documents may share a query's words without any of them standing out."""
_LEAST = 1e-3
"""Of the way from the last cosine to 1, where all documents are alike."""


def fuse(dense: Found | None, words: Found | None, limit: int) -> list[Fused]:
    """The best of both, at most `limit`; of a single search that found anything, its own order and scores."""
    if not (_any(dense) and _any(words)):
        return _alone(dense, words, limit)
    assert dense is not None and words is not None
    keys, at = np.unique(np.concatenate([dense.keys, words.keys]), return_inverse=True)
    by_vector, by_words = at[: len(dense.keys)], at[len(dense.keys) :]
    cosine, bm25 = _spread(dense, by_vector, len(keys)), _spread(words, by_words, len(keys))
    score = np.zeros(len(keys))
    score[by_vector] += _closeness(dense.scores.astype(np.float64))
    score[by_words] += WORDS * _prominence(words.scores.astype(np.float64))
    order = np.lexsort((-np.nan_to_num(bm25), -score))[:limit]
    columns = keys[order].tolist(), score[order].tolist(), _known(cosine[order]), _known(bm25[order])
    return list(zip(*columns, strict=True))


def _any(found: Found | None) -> bool:
    return found is not None and len(found.keys) > 0


def _alone(dense: Found | None, words: Found | None, limit: int) -> list[Fused]:
    if dense is not None and len(dense.keys):
        return [(key, score, score, None) for key, score in _pairs(dense, limit)]
    return [(key, score, None, score) for key, score in _pairs(words, limit)] if words is not None else []


def _pairs(found: Found, limit: int) -> zip[tuple[Key, float]]:
    return zip(found.keys[:limit].tolist(), found.scores[:limit].tolist(), strict=True)


def _closeness(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    last = cosines[-1]
    return (cosines - last) / max(1 - last, _LEAST)


def _prominence(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    common = scores[COMMON - 1] if len(scores) >= COMMON else 0.0
    return np.maximum(scores - common, 0.0) / scores[0] if scores[0] > 0 else np.zeros_like(scores)


def _spread(found: Found, at: NDArray[np.intp], count: int) -> NDArray[np.float64]:
    scores = np.full(count, np.nan)
    scores[at] = found.scores
    return scores


def _known(scores: NDArray[np.float64]) -> list[float | None]:
    return [None if score != score else score for score in scores.tolist()]
