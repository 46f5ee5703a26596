"""How the canary's answers differ from those that were returned: pairs of replies, compared and stored as JSON lines.

A shadow call is a copy of a call whose answer nobody waits for.  What is alike means depends on the kind of answer:

- embeddings: cosine of the vectors, text by text;
- rankings: Spearman's rank correlation of the documents both have;
- labels: the share of texts with the same best label;
- text: the share of words that stay; the words that do not are stored as the tenant's payloads are: not at all,
  redacted, or as they are.
"""

from __future__ import annotations

import difflib
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from router.events import Sink, batches, write
from router.payload_texts import as_it_is, redacted
from waypost.v1 import classify_pb2, embed_pb2, generate_pb2, rerank_pb2

BATCH = 64
WORDS = 1000
"""Of longer texts only the beginning is compared: the time it takes grows with the square."""
DIFF_CHARACTERS = 2000

Pair = Mapping[str, Any]
Seen = dict[str, Any]
"""`similarity`, 0 to 1 (a correlation: -1 to 1), and what belongs to the kind."""


class Core(Protocol):
    """The part of `_core.Router` that hands out pairs."""

    def next_shadows(self, max: int, timeout_s: float) -> list[dict[str, Any]]: ...


class NotComparable(ValueError):
    """Raised by the comparisons: the two replies have no common measure."""


def drain(core: Core, sink: Sink, stop: threading.Event) -> None:
    """Compares pairs and writes what is found, until `stop` is set, and then those that are left."""
    for pairs in batches(lambda wait_s: core.next_shadows(BATCH, wait_s), stop):
        if pairs:
            write(sink, [json.dumps(compared(pair)) for pair in pairs], "shadows")


def compared(pair: Pair) -> dict[str, Any]:
    """The line of a pair; its `similarity` is None where the replies cannot be compared, and `why` says why."""
    known = {key: pair[key] for key in ("method", "request_id", "stable_model", "canary_model") if key in pair}
    line = {"event": "shadow", "timestamp": datetime.now(UTC).isoformat(), **known}
    try:
        kind, compare = KINDS[pair["method"]]
        return line | {"kind": kind} | compare(pair["stable"], pair["canary"]) | _words(kind, pair)
    except KeyError:
        return line | {"similarity": None, "why": "answers of this call are not compared"}
    except (DecodeError, NotComparable) as error:
        return line | {"similarity": None, "why": str(error)}


def embeddings(stable: bytes, canary: bytes) -> Seen:
    """Mean cosine, and the lowest."""
    ours, theirs = (_rows(embed_pb2.EmbedResponse.FromString(reply)) for reply in (stable, canary))
    if ours.shape != theirs.shape:
        raise NotComparable(f"{ours.shape} and {theirs.shape} numbers are no vectors of one space")
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosines = np.einsum("ij,ij->i", ours, theirs) / np.maximum(norms, 1e-12)
    return {"similarity": _rounded(cosines.mean()), "lowest": _rounded(cosines.min()), "texts": len(cosines)}


def _rows(reply: embed_pb2.EmbedResponse) -> NDArray[np.float32]:
    if not reply.vectors or not reply.dimensions or len(reply.vectors) % (4 * reply.dimensions):
        raise NotComparable("a reply without whole vectors")
    return np.frombuffer(reply.vectors, dtype="<f4").reshape(-1, reply.dimensions)


def rankings(stable: bytes, canary: bytes) -> Seen:
    """Spearman's correlation over the documents that both rank, and whether the first is the same."""
    ours, theirs = ([each.index for each in rerank_pb2.RerankResponse.FromString(r).ranking] for r in (stable, canary))
    common = set(ours) & set(theirs)
    if not common:
        raise NotComparable("no document that both rank")
    left, right = ([index for index in each if index in common] for each in (ours, theirs))
    place = {index: at for at, index in enumerate(right)}
    correlation = _spearman([place[index] for index in left])
    return {"similarity": _rounded(correlation), "same_first": ours[0] == theirs[0], "documents": len(common)}


def _spearman(places: list[int]) -> float:
    """Of a permutation with the order; 1 of a single document."""
    count = len(places)
    if count < 2:
        return 1.0
    squares = sum((place - index) ** 2 for index, place in enumerate(places))
    return 1.0 - 6.0 * squares / (count * (count * count - 1))


def labels(stable: bytes, canary: bytes) -> Seen:
    """The share of texts with the same best label, and by how much its score moved at most."""
    ours, theirs = (classify_pb2.ClassifyResponse.FromString(reply).results for reply in (stable, canary))
    both = [(a.labels[0], b.labels[0]) for a, b in zip(ours, theirs, strict=False) if a.labels and b.labels]
    if len(ours) != len(theirs) or not both:
        raise NotComparable("labels of other texts")
    same = [a.label == b.label for a, b in both]
    moved = max(abs(a.score - b.score) for a, b in both)
    return {"similarity": _rounded(sum(same) / len(same)), "score_moved": _rounded(moved), "texts": len(both)}


def texts(stable: bytes, canary: bytes) -> Seen:
    """The share of words that stay."""
    left, right = (_answer(reply).split()[:WORDS] for reply in (stable, canary))
    ratio = difflib.SequenceMatcher(None, left, right, autojunk=False).ratio()
    return {"similarity": _rounded(ratio), "words": [len(left), len(right)]}


def _answer(reply: bytes) -> str:
    return generate_pb2.GenerateResponse.FromString(reply).text


def _words(kind: str, pair: Pair) -> Seen:
    """The words that do not stay, as the tenant will have them kept: `[-gone-]` and `{+new+}`."""
    keep = KEPT.get(pair["mode"])
    if kind != "texts" or not keep:
        return {}
    left, right = (keep(_answer(pair[side])).split()[:WORDS] for side in ("stable", "canary"))
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    return {"diff": " ".join(_marked(matcher, left, right))[:DIFF_CHARACTERS]}


def _marked(matcher: difflib.SequenceMatcher[str], left: list[str], right: list[str]) -> Iterable[str]:
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        if kind == "equal":
            yield "…"
            continue
        if end > start:
            yield f"[-{' '.join(left[start:end])}-]"
        if other_end > other_start:
            yield f"{{+{' '.join(right[other_start:other_end])}+}}"


def _rounded(value: Any) -> float:
    return round(float(value), 6)


KEPT: dict[str, Callable[[str], str]] = {"full": as_it_is, "redacted": redacted}
"""Per mode of the tenant's payloads: what is kept of an answer; of others nothing is."""
KINDS: dict[str, tuple[str, Callable[[bytes, bytes], Seen]]] = {
    "/waypost.v1.EmbedService/Embed": ("embeddings", embeddings),
    "/waypost.v1.RerankService/Rerank": ("rankings", rankings),
    "/waypost.v1.ClassifyService/Classify": ("labels", labels),
    "/waypost.v1.GenerateService/Generate": ("texts", texts),
}
"""Per rpc: what its answers are, and how they are compared."""
