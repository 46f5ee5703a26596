"""When a crashed process starts again."""

from __future__ import annotations

from router.restarts import RestartPolicy, Restarts


def test_the_pause_doubles_up_to_a_longest() -> None:
    """Crashes in a row wait longer and longer."""
    restarts = Restarts(RestartPolicy(first_s=1.0, longest_s=5.0, crashes=10, window_s=1000.0))
    assert [restarts.crashed(now, ran_s=0.0) for now in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_healthy_run_starts_over_with_the_first_pause() -> None:
    """A process that ran well is not punished for crashes long ago."""
    restarts = Restarts(RestartPolicy(first_s=1.0, healthy_s=30.0, crashes=10))
    restarts.crashed(0.0, ran_s=0.0)
    assert restarts.crashed(1.0, ran_s=29.0) == 2.0
    assert restarts.crashed(40.0, ran_s=30.0) == 1.0


def test_too_many_crashes_within_the_window_end_the_restarts() -> None:
    """The third crash within a minute is one too many; the same three spread out are not."""
    policy = RestartPolicy(crashes=3, window_s=60.0)
    together, apart = Restarts(policy), Restarts(policy)
    assert [together.crashed(now, 0.0) is None for now in (0.0, 30.0, 60.0)] == [False, False, True]
    assert [apart.crashed(now, 0.0) is None for now in (0.0, 30.0, 61.0)] == [False, False, False]
