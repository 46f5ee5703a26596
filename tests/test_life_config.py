"""What the configuration says of the life of processes, and what can be wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from waypost import config
from waypost.config import Config, ConfigError

HASH = {"name": "m", "backend": "hash"}


def loaded(router: dict[str, Any] | None = None, **worker: Any) -> Config:
    raw = {"router": router or {}, "workers": [{"name": "w", "models": [HASH]} | worker]}
    return config.check(raw, base=Path.cwd(), origin="test")


def problem(router: dict[str, Any] | None = None, **worker: Any) -> str:
    """The one that there is."""
    with pytest.raises(ConfigError) as caught:
        loaded(router, **worker)
    (found,) = caught.value.problems
    return str(found)


@pytest.mark.parametrize(
    ("said", "always"),
    [
        ({}, 1),
        ({"replicas": 3}, 3),
        ({"replicas": 3, "min_replicas": 1}, 1),
        ({"replicas": 3, "start": "demand"}, 0),
        ({"replicas": 3, "start": "demand", "min_replicas": 2}, 2),
    ],
)
def test_how_many_processes_always_run(said: dict[str, Any], always: int) -> None:
    """All of them, unless the worker starts on demand or says otherwise."""
    assert loaded(**said).workers[0].always == always


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (
            {"min_replicas": 2},
            "workers[0].min_replicas = 2: above replicas = 1; use fewer, or raise it",
        ),
        (
            {"idle_s": 5.0},
            "workers[0].idle_s = 5.0: of a worker whose processes always run; "
            'remove it, or write start = "demand", or fewer min_replicas',
        ),
        (
            {"start": "demand", "models": [HASH, {"name": "r", "backend": "retrieve"}]},
            'workers[0].start = "demand": no process always runs, and what has expired would not be removed; '
            "let one always run: min_replicas = 1",
        ),
    ],
)
def test_what_cannot_be(said: dict[str, Any], found: str) -> None:
    """Each problem says what to do."""
    assert problem(**said) == found


def test_memory_must_be_enough_for_each_and_for_those_that_always_run() -> None:
    """Where the file says how much they take."""
    router = {"life": {"memory_bytes": 100}}
    assert problem(router, memory_bytes=200, start="demand") == (
        "workers[0].memory_bytes = 200: above router.life.memory_bytes = 100; raise that, or use less"
    )
    assert problem(router, memory_bytes=60, replicas=2) == (
        "router.life.memory_bytes = 100: less than the 120 of processes that always run; "
        "use more, or lower min_replicas"
    )
    assert loaded(router, memory_bytes=60, replicas=2, start="demand")


def test_the_router_is_told_how_many_may_wait() -> None:
    """Beyond it calls fail at once."""
    assert loaded({"limits": {"max_waiting": 3}}).router.limits.max_waiting == 3
