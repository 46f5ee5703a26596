"""Who is kept warm, and with what."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from router.life.members import Demand, Rules, Stage
from router.life.processes import Attended, Plan
from router.life.warmer import Warmer, ask, cools
from tests.plane import Plane, Session
from waypost.results import ModelInfo

NOW = 100.0
IDLE_S = 50.0


def process(stage: Stage = Stage.AWAKE, address: str = "", **demand: Any) -> Attended:
    """A process that nobody has started."""
    plan = Plan("w-0", address, lambda: pytest.fail("it is not to be started"))
    made = Attended(plan, Rules("w", idle_s=IDLE_S), 0, lambda: None, lambda: NOW)
    made.stage, made.demand = stage, Demand(**demand)
    return made


@pytest.mark.parametrize(
    ("demand", "is_asked"),
    [
        ({"last_call": 60.0}, True),
        ({"last_call": 40.0}, False),
        ({}, False),
        ({"pinned": True}, True),
        ({"hot": True}, True),
        ({"hot": True, "in_flight": 1}, False),
    ],
)
def test_those_are_asked_that_are_likely_to_be_called_and_have_nothing_to_do(
    demand: dict[str, Any], is_asked: bool
) -> None:
    """Called lately, pinned or hot; only where they run."""
    assert cools(process(**demand), NOW) == is_asked
    assert not cools(process(Stage.ASLEEP, **demand), NOW)


@dataclass
class Asked:
    """A client that notes its calls."""

    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        async def call(*_: object, **options: Any) -> None:
            self.calls.append((name, options))

        return call


@pytest.mark.parametrize(
    ("tasks", "call"),
    [
        (("generate",), ("generate", {"model": "m", "max_tokens": 1})),
        (("embed", "classify", "rerank"), ("embed", {"model": "m"})),
        (("rerank",), ("rerank", {"model": "m"})),
        (("retrieve",), None),
    ],
)
def test_a_model_is_asked_for_the_least_that_it_can(tasks: tuple[str, ...], call: tuple[str, Any] | None) -> None:
    """A token, a vector, an order; stores of documents for nothing."""
    client = Asked()
    asyncio.run(ask(client, _info(tasks)))  # type: ignore[arg-type]
    assert client.calls == ([call] if call else [])


def _info(tasks: tuple[str, ...]) -> ModelInfo:
    fields = dict.fromkeys(ModelInfo.__dataclass_fields__)
    return ModelInfo(**fields | {"name": "m", "tasks": tasks})  # type: ignore[arg-type]


def test_the_process_itself_is_asked_again_and_again(tmp_path: Path) -> None:
    """For a new vector each time."""
    with Plane(tmp_path) as plane:
        session = Session()
        worker = plane.worker(plane.model(session))

        async def warm() -> list[str]:
            hot = process(address=worker.address, hot=True)
            keeping = asyncio.create_task(Warmer(0.01).keep(lambda: [hot]))
            asked = [await asyncio.to_thread(session.next) for _ in range(2)]
            keeping.cancel()
            return asked

        first, second = asyncio.run(warm())
    assert first.startswith("warm") and second.startswith("warm") and first != second


def test_nobody_is_asked_where_that_is_off() -> None:
    """It is unless somebody wants it."""
    asyncio.run(Warmer(0.0).keep(lambda: pytest.fail("nobody is to be asked")))
