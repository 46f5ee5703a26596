"""Models that share memory which is not enough for all of them: a short turn of `bench.on_demand`."""

from __future__ import annotations

import pytest

from bench.life_world import CONTENDERS
from bench.on_demand import TINY, Outcome, Setup, run

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Of four models with memory for two, and calls by the popularity of each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WAYPOST_HOME", str(tmp_path_factory.mktemp("home")))
        return run(Setup(TINY[:4], clients=4, seconds=10.0, pause_s=0.5, share=0.6))


def test_no_call_fails_and_no_model_is_loaded_twice_at_a_time(outcome: Outcome) -> None:
    """Many find theirs running, the others wait."""
    assert len(outcome.calls) >= 4 and not outcome.failures
    assert outcome.seen.of_one == 1
    assert 1 <= outcome.seen.together <= 2
    assert outcome.seen.starts.total() >= len({made.model for made in outcome.calls})


def test_all_workers_together_stay_within_their_memory(outcome: Outcome) -> None:
    """At every look."""
    assert outcome.seen.looks and not outcome.seen.over
    assert 0 < outcome.seen.workers <= outcome.budget


@pytest.mark.parametrize("contender", CONTENDERS)
def test_the_same_calls_are_made_in_simulated_time(outcome: Outcome, contender: str) -> None:
    """Whoever is ended first."""
    world = outcome.replayed(contender)
    assert world.calls == len(world.waits) == len(outcome.calls)
    assert world.hits <= world.calls - world.loads
