"""Metadata as a set of short tokens, and filters as questions which of them are there, for databases that ask no more.

A document is given a token for every value of every field, and one that the field is there.  A number has one for each
prefix of its 16 hexadecimal digits, taken such that their order is that of the numbers; a range then is a few hundred
prefixes at most, and a document is in it if it has one of them (a trie of numbers: Schindler and Diepenbroek, "Generic
XML-based framework for metadata portals", 2008, as in Lucene).  So one index over sets of strings answers all filters
exactly, those over lists of numbers, too, which few databases can ask for.

Tokens are hashes: they are short, and nothing in them has to be escaped.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from services.retrieve.filters import Between, Exists, OneOf, Scalar

LENGTH = 24
"""Characters of a token: of 96 bits no two documents of a namespace meet by chance."""
_DIGITS = 16
_LAST = 16**_DIGITS - 1
_SIGN = 1 << 63


def of(metadata: dict[str, Any]) -> set[str]:
    """What a document is found by."""
    return {_token(*said) for said in _each(metadata, "")}


def asked(test: OneOf | Between | Exists) -> list[str]:
    """A document that has one of these passes; of `Exists`, as if it were asked for what is there."""
    match test:
        case OneOf(field, values):
            return [_token(field, *_kind(value)) for value in values]
        case Between(field):
            return [_token(field, "number", prefix) for prefix in _cover("", *_ends(test))]
        case Exists(field):
            return [_token(field, "there", "")]


def _each(metadata: dict[str, Any], above: str) -> Iterator[tuple[str, str, str]]:
    for name, value in metadata.items():
        field = f"{above}{name}"
        if value is not None:
            yield field, "there", ""
        for one in value if isinstance(value, list) else [value]:
            yield from _said(field, one)
        if isinstance(value, dict):
            yield from _each(value, f"{field}.")


def _said(field: str, value: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, str | bool):
        yield field, *_kind(value)
    elif isinstance(value, int | float):
        digits = _sortable(value)
        yield from ((field, "number", digits[:length]) for length in range(_DIGITS + 1))


def _kind(value: Scalar) -> tuple[str, str]:
    if isinstance(value, bool):
        return "truth", str(value)
    return ("string", value) if isinstance(value, str) else ("number", _sortable(value))


def _sortable(number: float) -> str:
    """Hexadecimal digits whose order is that of the numbers; zero has no sign."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", float(number) + 0.0))
    return f"{bits ^ (_LAST if bits & _SIGN else _SIGN):016x}"


def _ends(bounds: Between) -> tuple[int, int]:
    """First and last of the numbers, as they are sorted."""
    lows = [_place(bounds.above, 1), _place(bounds.at_least, 0), 0]
    highs = [_place(bounds.below, -1), _place(bounds.at_most, 0), _LAST]
    return max(each for each in lows if each is not None), min(each for each in highs if each is not None)


def _place(bound: float | None, step: int) -> int | None:
    return None if bound is None else int(_sortable(bound), 16) + step


def _cover(prefix: str, low: int, high: int) -> Iterator[str]:
    """The shortest prefixes of all numbers from low to high, and of no others."""
    left = _DIGITS - len(prefix)
    first = int(prefix or "0", 16) << 4 * left
    last = first + (1 << 4 * left) - 1
    if low <= first and last <= high:
        yield prefix
    elif first <= high and low <= last:
        for digit in "0123456789abcdef":
            yield from _cover(prefix + digit, low, high)


def _token(field: str, kind: str, value: str) -> str:
    said = f"{len(field)}:{field}{kind}:{value}"
    return blake2b(said.encode(), digest_size=LENGTH // 2).hexdigest()
