"""Long texts in pieces: nothing is lost, nothing is too long, and pieces stay what they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.chunks import chunks

TEXTS = st.text(st.sampled_from("ab.!?。 \n\té😀")) | st.text()


def pieces(text: str, most: int) -> list[str]:
    return [text[begin:end] for begin, end in chunks(text, most)]


CASES = [
    ("", 10, []),
    (" \n ", 10, []),
    ("  one  ", 10, ["one"]),
    ("One two.\n\nThree four.", 14, ["One two.", "Three four."]),
    ("One two\nthree four", 12, ["One two", "three four"]),
    ("One two. Three four", 14, ["One two.", "Three four"]),
    ("One two three four", 10, ["One two", "three four"]),
    ("Einer。Zweier", 9, ["Einer。", "Zweier"]),
    ('"Stop!" he said to them', 10, ['"Stop!"', "he said to", "them"]),
    ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
    ("a\n\nbcdefgh ij", 8, ["a\n\nbcdef", "gh ij"]),
]


@pytest.mark.parametrize(("text", "most", "expected"), CASES, ids=[repr(text) for text, *_ in CASES])
def test_pieces_end_where_people_end_something(text: str, most: int, expected: list[str]) -> None:
    """Paragraphs before lines, lines before sentences, sentences before words; not in the first half."""
    assert pieces(text, most) == expected


@given(TEXTS, st.integers(1, 12))
def test_nothing_is_lost_and_nothing_is_too_long(text: str, most: int) -> None:
    """In order, apart from white space between the pieces."""
    spans = chunks(text, most)
    assert all(0 < end - begin <= most for begin, end in spans)
    assert all(text[begin:end].strip() == text[begin:end] for begin, end in spans)
    ends = [0, *(end for _, end in spans)]
    begins = [*(begin for begin, _ in spans), len(text)]
    assert all(not text[end:begin].strip() and end <= begin for end, begin in zip(ends, begins, strict=True))


@given(TEXTS, TEXTS, st.integers(1, 12))
def test_what_is_added_at_the_end_leaves_the_pieces_before(text: str, more: str, most: int) -> None:
    """All but the last one, which had room, and what a sign at its end may have depended on."""
    before, after = chunks(text, most), chunks(text + more, most)
    assert after[: max(0, len(before) - 2)] == before[: max(0, len(before) - 2)]


def test_a_piece_has_a_length() -> None:
    """Otherwise there would be no end of them."""
    with pytest.raises(ValueError, match="most is 0"):
        chunks("a", 0)
