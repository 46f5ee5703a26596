"""Whole and decimal numbers between bounds, as GBNF.

Digits are compared as regular expressions do it: by length first, then place by place.
"""

from __future__ import annotations

MAX_DIGITS = 16
"""Of an unbounded number: beyond it a double is not exact, and a model that writes on would never end."""
DIGITS = f"[0-9]{{1,{MAX_DIGITS - 1}}}"
FRACTION = f'("." {DIGITS})?'
EXPONENT = "([eE] [-+]? [0-9]{1,2})?"
WHOLE = f'("0" | [1-9] [0-9]{{0,{MAX_DIGITS - 1}}})'
SOME_FRACTION = f'"." "0"{{0,{MAX_DIGITS - 2}}} [1-9] [0-9]{{0,{MAX_DIGITS - 2}}}'
"""Not zero."""


class NoNumber(Exception):
    """There is no number between the bounds."""


def integer(least: int | None, most: int | None) -> str:
    """Whole numbers from `least` to `most`, both included."""
    if least is None and most is None:
        return f'"-"? {WHOLE}'
    below = None if least is None else -least
    parts = _part(0 if least is None else max(least, 0), most, "")
    if least is None or least < 0:
        parts += _part(1 if most is None else max(1, -most), below, '"-" ')
    return _any(parts)


def decimal(least: int | None, most: int | None, *, above: bool = False, under: bool = False) -> str:
    """Numbers from `least` to `most`; `above`, `under`: without these themselves."""
    if least is None and most is None:
        return f'"-"? {WHOLE} {FRACTION} {EXPONENT}'
    parts = []
    if most is None or most >= 0:
        low, open_low = (least, above) if least is not None and least >= 0 else (0, False)
        parts += _decimals(low, most, open_low, under, "")
    if least is None or least < 0:
        low, open_low = (-most, under) if most is not None and most <= 0 else (0, True)
        parts += _decimals(low, None if least is None else -least, open_low, above, '"-" ')
    return _any(parts)


def _decimals(low: int, high: int | None, open_low: bool, open_high: bool, sign: str) -> list[str]:
    """Numbers without a sign, whole ones of `high` itself last."""
    parts = []
    if high is None or low < high:
        parts.append(f"{sign}{_literal(low)} {SOME_FRACTION if open_low else FRACTION}")
        parts += [f"{each} {FRACTION}" for each in _part(low + 1, None if high is None else high - 1, sign)]
    elif open_low:
        return []
    if high is not None and low <= high and not open_high:
        parts.append(f'{sign}{_literal(high)} ("." "0"{{1,{MAX_DIGITS - 1}}})?')
    return parts


def _part(least: int, most: int | None, sign: str) -> list[str]:
    """Whole numbers from 0 on, by their number of digits."""
    if most is not None and most < least:
        return []
    low, parts = least, []
    for digits in range(len(str(least)), len(str(most)) + 1 if most is not None else len(str(least)) + 1):
        high = 10**digits - 1 if most is None else min(most, 10**digits - 1)
        parts += [sign + each for each in _between(str(low), str(high))]
        low = 10**digits
    if most is None:
        parts.append(f"{sign}[1-9] [0-9]{{{len(str(least))},{max(MAX_DIGITS, len(str(least)) + 1)}}}")
    return parts


def _between(low: str, high: str) -> list[str]:
    """Strings of digits of the same length."""
    if not low:
        return [""]
    rest = len(low) - 1
    if low[1:] == "0" * rest and high[1:] == "9" * rest:
        return [f"[{low[0]}-{high[0]}]" + (f" [0-9]{{{rest}}}" if rest else "")]
    if low[0] == high[0]:
        return [f"{_literal(low[0])} {each}" for each in _between(low[1:], high[1:])]
    middle = _between(chr(ord(low[0]) + 1) + "0" * rest, chr(ord(high[0]) - 1) + "9" * rest)
    return [
        *_between(low, low[0] + "9" * rest),
        *(middle if ord(high[0]) - ord(low[0]) > 1 else []),
        *_between(high[0] + "0" * rest, high),
    ]


def _literal(number: int | str) -> str:
    return f'"{number}"'


def _any(parts: list[str]) -> str:
    if not parts:
        raise NoNumber
    return f"({' | '.join(parts)})"
