"""The golden table of clients/golden, asked through plain grpcio: what it promises is what a mesh answers."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from clients import mesh
from clients.golden import table

CASES = table.cases()


@pytest.fixture(scope="module")
def asker() -> Iterator[table.Asker]:
    """Asks the mesh of the table."""
    with mesh.running() as running, grpc.insecure_channel(running.address) as channel:
        yield table.Asker(channel)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_mesh_answers_as_the_table_says(asker: table.Asker, case: table.Case) -> None:
    """After a change that is meant: `python -m clients.golden.make`."""
    answer = asker.ask(case)
    assert table.matches(table.expected(case), answer), answer


def test_every_case_has_a_name_of_its_own_and_an_expectation() -> None:
    """Else a language could pass by looking for nothing."""
    assert len({case["name"] for case in CASES}) == len(CASES)
    assert all(table.expected(case) for case in CASES)


@pytest.mark.parametrize(
    ("wanted", "got", "same"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ([1, 2], [1, 2, 3], False),
        (0.5, 0.500009, True),
        (0.5, 0.50002, False),
        ("x", "y", False),
    ],
)
def test_an_answer_may_have_more_but_not_less(wanted: object, got: object, same: bool) -> None:
    """Lists are compared whole, numbers with a point within 1e-5."""
    assert table.matches(wanted, got) is same
