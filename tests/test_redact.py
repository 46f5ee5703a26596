"""Personal data in text, as Python sees it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost import _core

CASES = Path(__file__).parents[1] / "rust_core/text/src/redact/cases.tsv"


def cases() -> list[tuple[str, str]]:
    """Texts, and what is left of each."""
    rows = [line.split("\t") for line in CASES.read_text().splitlines() if not line.startswith("#")]
    return [(text.replace("\\n", "\n"), (text if left == "=" else left).replace("\\n", "\n")) for text, left in rows]


def test_what_is_personal_is_replaced_by_its_kind_and_counted() -> None:
    """Everything else stays."""
    left, found = _core.redact("Write to eve@example.com or +49 30 123456; card 4111 1111 1111 1111, not 12345.")
    assert left == "Write to [EMAIL] or [PHONE]; card [CARD], not 12345."
    assert found == {"email": 1, "phone": 1, "card": 1}


def test_the_table_holds_on_this_side_too() -> None:
    """All that is personal is found, and nothing else."""
    table = cases()
    recalled = [_core.redact(text)[0] == left for text, left in table if text != left]
    alarmed = [_core.redact(text)[0] != left for text, left in table if text == left]
    assert len(recalled) > 80 and all(recalled)
    assert len(alarmed) > 80 and not any(alarmed)


def test_text_without_any_is_the_same_object() -> None:
    """Nothing is copied."""
    text = "nothing here"
    assert _core.redact(text)[0] is text


@given(st.text())
def test_any_text_is_taken_and_once_is_enough(text: str) -> None:
    """Whatever the characters."""
    once, found = _core.redact(text)
    assert _core.redact(once) == (once, {})
    assert bool(found) == (once != text)


@pytest.mark.parametrize("piece", ["@", "1", "4111 ", "a@", "://a:", "password=", "-----BEGIN ", "::", "+1", "eyJa."])
def test_its_time_grows_with_the_text_and_not_faster(piece: str) -> None:
    """Also where each piece looks like the beginning of something."""

    def took_s(count: int) -> float:
        text = piece * count
        started = time.thread_time()
        _core.redact(text)
        return time.thread_time() - started

    few, many = min(took_s(2_000) for _ in range(5)), min(took_s(20_000) for _ in range(3))
    assert many < 40 * few + 0.01
