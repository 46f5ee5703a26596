"""What every store checks of the documents that it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from services.refusal import InvalidField, Refused
from services.retrieve.store import Batch, Entry, Space, Stored, Vectors


def one_by_one(
    upsert: Callable[[Space, Sequence[Entry], float], Stored], batches: Sequence[Batch], now: float
) -> list[Stored | Refused]:
    """`upsert_each` of a store that gains nothing by storing several at once."""

    def outcome(batch: Batch) -> Stored | Refused:
        try:
            return upsert(batch.space, batch.entries, now)
        except Refused as refused:
            return refused

    return [outcome(batch) for batch in batches]


def last_of_each(entries: Sequence[Entry]) -> list[Entry]:
    """Of several documents with one id the last."""
    return list({entry.id: entry for entry in entries}.values())


def dimensions(entries: Sequence[Entry], known: int | None) -> int:
    """How long the vectors are, 0 where there are none; `known` is what the namespace's are, None where it has no
    documents yet.

    Raises:
        InvalidField: they are not all so long.
    """
    expected = _size(entries[0]) if known is None and entries else known or 0
    for index, entry in enumerate(entries):
        if _size(entry) != expected:
            raise InvalidField(f"documents[{index}].vector", f"{_size(entry)} numbers", _as_the_others(expected))
    return expected


def comparable(vectors: Vectors, known: int) -> None:
    """Checks queries against a namespace whose vectors are so long.

    Raises:
        InvalidField: they are not.
    """
    if vectors.shape[1] != known:
        raise InvalidField("queries[0].vector", f"{vectors.shape[1]} numbers", _as_the_others(known))


def _size(entry: Entry) -> int:
    return 0 if entry.vector is None else len(entry.vector)


def _as_the_others(expected: int) -> str:
    return f"{expected} numbers, as all of the namespace" if expected else "left out, as in all of the namespace"
