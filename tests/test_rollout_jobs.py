"""What a router does beside its calls for rollouts."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from router import rollout_jobs
from waypost import places
from waypost.config import Router

SIDE = {"calls": 9, "errors": 9, "slow": 0, "latency_p50_ms": 1.0, "latency_p95_ms": 2.0}
SCORES = {scores: {"n": 0, "sum": 0.0, "sumsq": 0.0} for scores in ("quality", "feedback")}


class FakeCore:
    """One rollout; what is set is kept, and then the test is over."""

    def __init__(self, stop: threading.Event) -> None:
        names = {"name": "chat", "stable": "old", "canary": "new", "steps": [0.1], "step": 0, "shadow_share": 0.1}
        self.rollout: dict[str, Any] = names | {"step_limit_s": 60.0, "state": "running", "reason": "", "revision": 1}
        self._stop = stop

    def rollouts(self) -> str:
        status = {"rollout": self.rollout, "since_s": 5.0, "stable": SIDE | SCORES, "canary": SIDE | SCORES}
        return json.dumps([status])

    def set_rollout(self, rollout_json: str) -> str:
        self.rollout = json.loads(rollout_json) | {"revision": 2}
        self._stop.set()
        return json.dumps(self.rollout)

    def next_shadows(self, max: int, timeout_s: float) -> list[dict[str, Any]]:
        return []


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Waypost's home."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path))
    return places.home()


def test_a_rollout_that_ends_leaves_its_report_at_home(home: Path) -> None:
    """Judged at the configured pace, written by the thread that judged."""
    stop = threading.Event()
    core = FakeCore(stop)
    seen = {"stable": 0.0, "canary": 1.0, "stable_n": 9, "canary_n": 9, "log_odds": 9.0, "needed": 4.4}
    verdict = json.dumps({"verdict": "regression", "metric": "errors", "evidence": seen})
    pace = Router().rollout.model_copy(update={"judge_s": 0.01})
    for job in rollout_jobs.jobs(core, lambda case: verdict, lambda case: "[]", pace):
        job(stop)
    assert core.rollout["state"] == "rolled_back"
    assert "**Rolled back**: the share of errors is 100.0 %" in (home / "rollouts" / "chat" / "report.md").read_text()


def test_a_report_that_cannot_be_written_is_named(home: Path) -> None:
    """The watch goes on."""
    with capture_logs() as logs:
        rollout_jobs.report("chat")
    assert [line["event"] for line in logs] == ["rollout not reported"]
