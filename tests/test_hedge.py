"""A second try beside a slow first one: off unless it is asked for, within a budget, and the loser is cancelled."""

from __future__ import annotations

from typing import Any

import pytest

from tests.plane import Node, Plane, Session, embed
from tests.test_hops import events

WARM = 80
HEDGE = {"enabled": True, "quantile": 0.5, "min_delay_s": 0.05, "budget_ratio": 1.0}


def mesh(plane: Plane, **hedge: Any) -> tuple[Node, Session, Session]:
    """A router with two workers whose latencies it knows."""
    one, two = Session(), Session()
    workers = [
        plane.worker(plane.model(session), name=name, vector_cache=0) for name, session in (("a", one), ("b", two))
    ]
    router = plane.router(*workers, hedge=hedge, policy="round_robin")
    for number in range(WARM):
        router.call(embed(f"warm {number}"))
    events(router, WARM)
    return router, one, two


def test_a_slow_first_try_is_overtaken(plane: Plane) -> None:
    """Whichever instance hangs, every call is answered by the other; the record says which attempt was cancelled."""
    router, hung, _ = mesh(plane, **HEDGE)
    hung.gate.clear()
    for number in range(4):
        call = router.start(embed(f"now {number}"))
        assert call.result().served.instance == "b"
        assert dict(call.trailing_metadata())["waypost-instance"] == "b"
    codes = [[tried["code"] for tried in event["attempts"]] for event in events(router, 4)]
    assert ["CANCELLED", "OK"] in codes
    assert {event_codes[-1] for event_codes in codes} == {"OK"}


@pytest.mark.parametrize("hedge", [{}, {**HEDGE, "budget_ratio": 0.0}], ids=["off", "no budget"])
def test_nothing_is_sent_twice_unasked(plane: Plane, hedge: dict[str, Any]) -> None:
    """The budget's reserve is two; what is beyond waits for its first try."""
    router, hung, _ = mesh(plane, **hedge)
    hung.gate.clear()
    calls = [router.start(embed(f"now {number}")) for number in range(8)]
    late = [call for call in calls if not _ends(call)]
    assert len(late) >= 2
    hung.gate.set()
    assert all(call.result() for call in late)


def _ends(call: Any) -> bool:
    try:
        call.result(timeout=1.0)
    except Exception:
        return False
    return True
