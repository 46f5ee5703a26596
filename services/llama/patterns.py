"""Regular expressions of JSON schemas as GBNF over the inside of a JSON string.

Python's own parser reads the expression; what has no counterpart in a grammar (look-around, back references, flags) is
refused.  A quote, a backslash or a control character is matched by its JSON escape.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

Ranges: TypeAlias = list[tuple[int, int]]

MAX_REPEATS = 2000
LAST = 0x10FFFF
ESCAPED: Ranges = [(0x00, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x7F, 0x7F)]
"""Characters that a JSON string writes as an escape (DEL might stand as it is)."""
SURROGATES = (0xD800, 0xDFFF)
SHORT = {0x08: "b", 0x09: "t", 0x0A: "n", 0x0C: "f", 0x0D: "r", 0x22: '\\"', 0x5C: "\\\\"}
"""What stands after the backslash, as a GBNF class writes it."""
LINE_ENDS: Ranges = [(0x0A, 0x0A), (0x0D, 0x0D)]
CATEGORIES: dict[str, Ranges] = {
    "CATEGORY_DIGIT": [(0x30, 0x39)],
    "CATEGORY_WORD": [(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)],
    "CATEGORY_SPACE": [(0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x2028, 0x2029), (0xFEFF, 0xFEFF)],
}

_parser: Any = importlib.import_module("re._parser")  # no public name since 3.11; sre_parse before


class UnsupportedPattern(Exception):
    """The expression cannot be written as a grammar."""


def gbnf(pattern: str) -> str:
    """The texts that `pattern` finds something in, without quotes.

    Raises:
        UnsupportedPattern: it has no grammar.
    """
    try:
        items = list(_parser.parse(pattern))
    except (re.error, OverflowError, RecursionError) as error:
        raise UnsupportedPattern(f"the pattern {pattern!r} is not valid: {error}") from None
    if len(items) == 1 and str(items[0][0]) == "BRANCH":
        return " | ".join(_anchored(branch, pattern) for branch in items[0][1][1])
    return _anchored(items, pattern)


def _anchored(items: Iterable[Any], pattern: str) -> str:
    """Without `^` and `$`, anything may stand around it."""
    inside, anything = list(items), f"({_class([(0, LAST)])})*"
    begins = _is_anchor(inside[:1], "AT_BEGINNING", "AT_BEGINNING_STRING")
    ends = _is_anchor(inside[-1:], "AT_END", "AT_END_STRING")
    inside = inside[begins : len(inside) - ends]
    parts = [*([] if begins else [anything]), *_sequence(inside, pattern), *([] if ends else [anything])]
    return " ".join(parts) or '""'


def _is_anchor(items: Sequence[Any], *names: str) -> bool:
    return bool(items) and str(items[0][0]) == "AT" and str(items[0][1]) in names


def _sequence(items: Iterable[Any], pattern: str) -> Iterator[str]:
    for operation, argument in items:
        yield _item(str(operation), argument, pattern)


def _item(operation: str, argument: Any, pattern: str) -> str:
    match operation, argument:
        case "LITERAL", _:
            return _class([(argument, argument)])
        case "NOT_LITERAL", _:
            return _class(_complement([(argument, argument)]))
        case "ANY", _:
            return _class(_complement(LINE_ENDS))
        case "IN", _:
            return _class(_ranges(argument, pattern))
        case "BRANCH", (_, branches):
            return f"({' | '.join(' '.join(_sequence(branch, pattern)) or chr(34) * 2 for branch in branches)})"
        case "SUBPATTERN", (_, 0, 0, inside):
            return f"({' '.join(_sequence(inside, pattern))})"
        case (("MAX_REPEAT" | "MIN_REPEAT"), (least, most, inside)):
            return f"({' '.join(_sequence(inside, pattern))}){_times(least, most)}"
    raise UnsupportedPattern(f"the pattern {pattern!r} has {operation.lower().replace('_', ' ')}")


def _times(least: int, most: Any) -> str:
    unlimited = str(most) == "MAXREPEAT"
    if max(least, 0 if unlimited else most) > MAX_REPEATS:
        raise UnsupportedPattern(f"a pattern repeats more than {MAX_REPEATS} times")
    return f"{{{least},{'' if unlimited else most}}}"


def _ranges(items: Sequence[Any], pattern: str) -> Ranges:
    negated = str(items[0][0]) == "NEGATE"
    found = [each for item in items[negated:] for each in _members(str(item[0]), item[1], pattern)]
    return _complement(found) if negated else found


def _members(kind: str, value: Any, pattern: str) -> Ranges:
    match kind:
        case "LITERAL":
            return [(value, value)]
        case "RANGE":
            return [(value[0], value[1])]
    name = str(value)
    if name in CATEGORIES:
        return CATEGORIES[name]
    positive = name.replace("_NOT_", "_")
    if positive not in CATEGORIES:
        raise UnsupportedPattern(f"the pattern {pattern!r} has {name.lower()}")
    return _complement(CATEGORIES[positive])


def _complement(ranges: Ranges) -> Ranges:
    found, begin = [], 0
    for low, high in sorted(ranges):
        if begin < low:
            found.append((begin, low - 1))
        begin = max(begin, high + 1)
    return [*found, (begin, LAST)] if begin <= LAST else found


def _intersection(some: Ranges, others: Ranges) -> Ranges:
    pairs = ((max(a, c), min(b, d)) for a, b in some for c, d in others)
    return sorted({(low, high) for low, high in pairs if low <= high})


def _class(ranges: Ranges) -> str:
    """One character of the text, as JSON writes it."""
    plain = _intersection(ranges, _complement([*ESCAPED, SURROGATES]))
    escaped = [code for low, high in _intersection(ranges, ESCAPED) for code in range(low, high + 1)]
    alternatives = [*_escapes(escaped), *([f"[{''.join(_range(*each) for each in plain)}]"] if plain else [])]
    if not alternatives:
        raise UnsupportedPattern("a pattern has a class without characters")
    return alternatives[0] if len(alternatives) == 1 else f"({' | '.join(alternatives)})"


def _escapes(codes: Sequence[int]) -> list[str]:
    """As one alternative: llama.cpp tries each of them on each token."""
    short = "".join(SHORT[code] for code in codes if code in SHORT)
    inside = [f"[{short}]"] if short else []
    for high in sorted({code >> 4 for code in codes if code not in SHORT}):
        low = "".join(f"{code & 15:x}" for code in codes if code >> 4 == high and code not in SHORT)
        inside.append(f'"u00{high}" [{low}]')
    return [rf'"\\" ({" | ".join(inside)})'] if inside else []


def _range(low: int, high: int) -> str:
    return f"\\U{low:08X}" if low == high else f"\\U{low:08X}-\\U{high:08X}"
