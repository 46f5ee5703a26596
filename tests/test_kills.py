"""A small turn of `bench.kills`: what was acknowledged outlives processes that are killed."""

from __future__ import annotations

import pytest

from bench.kills.evidence import Plan
from bench.kills.parts import PARTS
from tests.stores import skip_without_postgres

TURN = Plan(kills=3, changes=300)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("part", PARTS)
def test_what_was_acknowledged_outlives_kills(part: str) -> None:
    """Whole, and once; in all databases, or it is said that one is not here."""
    skip_without_postgres()
    for evidence in PARTS[part](TURN):
        assert evidence.holds, evidence
