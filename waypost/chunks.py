"""A long text as pieces that an encoder reads whole.

    chunks("First paragraph.\\n\\nSecond …", most=1000)   # [(0, 16), (18, …)]

Each piece is as long as it may be and ends where people end something: between paragraphs, else lines, else sentences,
else words, and only where none of these is near in the middle of one.  Pieces do not overlap: a query finds the passage
that it means, and `Snippet` cuts inside it.

The same text gives the same pieces, and text that is added at the end leaves those before it as they are, but for the
last one or two: what is stored under "path#3" stays what it is.
"""

from __future__ import annotations

import re

Span = tuple[int, int]

_ENDS = (
    re.compile(r"(?=\n[ \t]{0,8}\n)"),
    re.compile(r"(?=\n)"),
    re.compile(r"[.!?…][\"'”’)]{0,3}(?=\s)|[。！？]"),
    re.compile(r"(?=\s)"),
)
"""Where a piece may end, best first."""
_AHEAD = 10
"""What follows the end of a piece, and makes it one, is at most so long."""


def chunks(text: str, most: int = 1000) -> list[Span]:
    """Begin and end of each piece, in characters, without the white space around it.

    Args:
        most: characters of a piece; an encoder that reads 256 tokens reads about 1,000 of English text.
    """
    if most < 1:
        raise ValueError(f"most is {most}: a piece has one character at least")
    spans = []
    begin = _skip(text, 0)
    while begin < len(text):
        end = _end(text, begin, most)
        spans.append((begin, begin + len(text[begin:end].rstrip())))
        begin = _skip(text, end)
    return spans


def _skip(text: str, begin: int) -> int:
    """The next character that is no white space."""
    found = _WORD.search(text, begin)
    return found.start() if found else len(text)


_WORD = re.compile(r"\S")


def _end(text: str, begin: int, most: int) -> int:
    """Where the piece that begins here ends; the first half of it is too near."""
    last = begin + most
    if last >= len(text):
        return len(text)
    for ending in _ENDS:
        found = [each.end() for each in ending.finditer(text, begin + most // 2, last + _AHEAD)]
        if ends := [end for end in found if end <= last]:
            return ends[-1]
    return last
