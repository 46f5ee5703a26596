"""Rollouts as the slow loop moves them, on simulated traffic and with the real judge; and their reports."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from router import rollout, rollout_report
from waypost import _core
from waypost.logfile import RotatingFile

JUDGE_S = 5.0


@dataclass(frozen=True)
class Pace:
    """As in the configuration."""

    judge_s: float = JUDGE_S
    min_calls: int = 100
    alpha: float = 0.05


@dataclass(frozen=True)
class Side:
    """How one side of the rollout behaves."""

    errors: float = 0.01
    slow: float = 0.05
    quality: float | None = None
    spread: float = 0.1


@dataclass
class Mesh:
    """A mesh in which seconds pass, calls come and one rollout is under way."""

    stable: Side = Side()
    canary: Side = Side()
    calls_per_second: float = 26.0
    steps: tuple[float, ...] = (0.1, 0.3, 0.8)
    step_limit_s: float = 1800.0
    now: float = 0.0
    since: float = 0.0
    rollout: dict[str, Any] = field(default_factory=dict)
    arms: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(7)
        names = {"name": "chat", "stable": "old", "canary": "new", "steps": list(self.steps), "step": 0}
        limits = {"shadow_share": 0.0, "step_limit_s": self.step_limit_s}
        self._begin(names | limits | {"state": "running", "reason": "", "revision": 1})

    def _begin(self, changed: dict[str, Any]) -> None:
        self.rollout, self.since = changed, self.now
        self.arms = {"stable": arm(), "canary": arm()}

    def rollouts(self) -> str:
        return json.dumps([{"rollout": self.rollout, "since_s": self.now - self.since, **self.arms}])

    def set_rollout(self, rollout_json: str) -> str:
        wanted = json.loads(rollout_json)
        if wanted["revision"] != self.rollout["revision"]:
            raise ValueError("changed meanwhile")
        self._begin(wanted | {"revision": wanted["revision"] + 1})
        return json.dumps(self.rollout)

    def pass_time(self, seconds: float = JUDGE_S) -> None:
        self.now += seconds
        calls = self._random.poisson(self.calls_per_second * seconds)
        of_canary = self._random.binomial(calls, rollout.share(self.rollout))
        self._call(self.stable, self.arms["stable"], calls - of_canary)
        self._call(self.canary, self.arms["canary"], of_canary)

    def _call(self, side: Side, arm: dict[str, Any], calls: int) -> None:
        arm["calls"] += calls
        arm["errors"] += int(self._random.binomial(calls, side.errors))
        arm["slow"] += int(self._random.binomial(calls, side.slow))
        if side.quality is not None:
            judged = np.clip(self._random.normal(side.quality, side.spread, calls), 0, 1)
            arm["quality"]["n"] += calls
            arm["quality"]["sum"] += float(judged.sum())
            arm["quality"]["sumsq"] += float((judged**2).sum())


def arm() -> dict[str, Any]:
    """A side that nobody has called."""
    counts = {"calls": 0, "errors": 0, "slow": 0, "latency_p50_ms": 10.0, "latency_p95_ms": 40.0}
    return counts | {scores: {"n": 0, "sum": 0.0, "sumsq": 0.0} for scores in ("quality", "feedback")}


class Kept:
    """A sink that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def write(self, lines: list[str]) -> None:
        self.lines += map(json.loads, lines)


def needs(*calls_per_second: float | None) -> Callable[[str], str]:
    """Stands for `_core.canary_traffic`."""
    return lambda case_json: json.dumps(calls_per_second)


def watcher(mesh: Mesh, **changed: Any) -> rollout.Watcher:
    given = {"judge": _core.judge_canary, "traffic": needs(22.0, 12.0, None), "config": Pace(), "journal": Kept()}
    return rollout.Watcher(mesh, **(given | changed))


def watched(mesh: Mesh, hours: float = 4.0, **changed: Any) -> dict[str, Any]:
    """The rollout once it has ended."""
    watching = watcher(mesh, **changed)
    for _ in range(int(hours * 3600 / JUDGE_S)):
        mesh.pass_time()
        watching.look()
        if mesh.rollout["state"] != "running":
            break
    return mesh.rollout


def test_a_good_canary_goes_from_step_to_step_and_is_promoted() -> None:
    """Each step begins counting anew."""
    journal = Kept()
    ended = watched(Mesh(), journal=journal)
    assert (ended["state"], ended["step"]) == ("promoted", 2)
    assert ended["reason"].startswith("no worse after") and ended["reason"].endswith("calls at 80 %")
    assert [line["rollout"]["step"] for line in journal.lines if "verdict" not in line] == [1, 2, 2]


@pytest.mark.parametrize(
    ("canary", "words"),
    [
        (Side(errors=0.05), "the share of errors is"),
        (Side(slow=0.25), "the share of slow calls is"),
        (Side(quality=0.75), "the quality is 0.7"),
    ],
    ids=["errors", "latency", "quality"],
)
def test_a_planted_regression_is_rolled_back_within_five_minutes(canary: Side, words: str) -> None:
    """At 26 calls a second and a share of 10 %; the reason says what is worse, by how much and how sure that is."""
    mesh = Mesh(stable=Side(quality=0.85), canary=Side(**{"quality": 0.85} | changes(canary)))
    ended = watched(mesh)
    assert ended["state"] == "rolled_back"
    assert mesh.now < 300
    assert words in ended["reason"] and "odds of" in ended["reason"]


def changes(side: Side) -> dict[str, Any]:
    return {key: value for key, value in vars(side).items() if value != getattr(Side(), key)}


def test_a_thin_rollout_is_inconclusive_and_says_which_traffic_it_needs() -> None:
    """Time at the step is over; the share is taken back."""
    mesh = Mesh(calls_per_second=0.2)
    ended = watched(mesh)
    assert ended["state"] == "inconclusive"
    assert mesh.now == pytest.approx(1800, abs=JUDGE_S)
    for words in ("not settled within 30 min: the share of errors", "more would do", "from 22 calls/s on", "0.2 calls"):
        assert words in ended["reason"]
    assert "quality from 0.85 to 0.75 at no traffic" in ended["reason"]


def test_a_canary_that_nobody_calls_is_inconclusive() -> None:
    """And says so instead of a number."""
    ended = watched(Mesh(calls_per_second=0.0, step_limit_s=60.0))
    assert "the canary had no calls" in ended["reason"]


def test_a_last_step_of_everything_is_promotion() -> None:
    """Nothing would be left to compare with."""
    assert watched(Mesh(steps=(0.5, 1.0)))["step"] == 0


def test_alpha_is_shared_by_the_steps() -> None:
    """A rollout of more steps is not rolled back by chance more often."""
    cases = []

    def judge(case_json: str) -> str:
        cases.append(json.loads(case_json))
        return json.dumps({"verdict": "undecided", "metric": "errors", "needs_calls": None})

    mesh = Mesh(steps=(0.1, 0.2, 0.4, 0.8))
    watcher(mesh, judge=judge).look()
    assert cases[0]["alpha"] == 0.05 / 4
    assert (cases[0]["min_calls"], cases[0]["stable"]) == (100, arm())


def test_too_little_traffic_is_a_warning_once_per_step() -> None:
    """As soon as a minute has shown it, long before the step is over."""
    mesh = Mesh(calls_per_second=3.0)
    watching = watcher(mesh)
    with capture_logs() as logs:
        for _ in range(24):
            mesh.pass_time()
            watching.look()
    assert [(line["log_level"], line["event"]) for line in logs] == [("warning", "rollout watched")]
    assert "from 22 calls/s on" in logs[0]["traffic"]


def test_somebody_elses_change_stands() -> None:
    """A conflict is reported, and nothing is changed; the next look sees the rollout as it is then."""

    class Overtaken(Mesh):
        def set_rollout(self, rollout_json: str) -> str:
            raise ValueError("chat is at revision 2 by now")

    mesh = Overtaken(canary=Side(errors=0.9))
    mesh.pass_time(60)
    with capture_logs() as logs:
        watcher(mesh).look()
    assert [(line["event"], line["error"]) for line in logs if "error" in line] == [
        ("rollout not moved", "chat is at revision 2 by now")
    ]
    assert mesh.rollout["state"] == "running"


def test_an_end_is_told_whoever_brought_it_about() -> None:
    """So that every router writes its report."""
    names: list[str] = []
    mesh = Mesh()
    watching = watcher(mesh, ended=names.append)
    watching.look()
    mesh.set_rollout(json.dumps(mesh.rollout | {"state": "rolled_back", "reason": "by hand"}))
    watching.look()
    watching.look()
    assert names == ["chat"]


def test_one_rollout_that_cannot_be_judged_does_not_stop_the_others() -> None:
    """It is named."""

    def judge(case_json: str) -> str:
        raise ValueError("no such metric")

    mesh = Mesh()
    with capture_logs() as logs:
        watcher(mesh, judge=judge).look()
    assert [(line["event"], line["rollout"]) for line in logs] == [("rollout not moved", "chat")]


def test_a_full_disk_keeps_nobody_from_rolling_back() -> None:
    """The journal's lines are lost, and that is told."""

    class Full:
        def write(self, lines: list[str]) -> None:
            raise OSError("No space left on device")

    mesh = Mesh(canary=Side(errors=0.9))
    mesh.pass_time(60)
    with capture_logs() as logs:
        watcher(mesh, journal=Full()).look()
    assert mesh.rollout["state"] == "rolled_back"
    assert "rollouts not written" in {line["event"] for line in logs}
    assert "rollout not moved" not in {line["event"] for line in logs}


def test_a_router_that_leaves_has_no_rollouts() -> None:
    """Looking at them is no failure."""

    class Leaving(Mesh):
        def rollouts(self) -> str:
            raise RuntimeError("the router has not been started")

    watcher(Leaving()).look()


def test_idle_looks_leave_no_lines() -> None:
    """A rollout overnight does not fill the journal."""
    mesh, journal = Mesh(), Kept()
    watching = watcher(mesh, journal=journal)
    mesh.pass_time()
    for _ in range(10):
        watching.look()
    assert len(journal.lines) == 1


# ---- the report ----


def report(tmp_path: Path, mesh: Mesh, shadows: list[dict[str, Any]] | None = None) -> str:
    journal, stored = tmp_path / "rollouts.jsonl", tmp_path / "shadows.jsonl"
    watched(mesh, journal=RotatingFile(journal, 1 << 30))
    stored.write_text("".join(json.dumps(line) + "\n" for line in shadows or []))
    return rollout_report.write("chat", journal, stored, tmp_path / "report").read_text()


def test_the_report_tells_how_it_went_in_tables_and_plots(tmp_path: Path) -> None:
    """Ending, steps, both sides at each step, and a picture per metric that was measured."""
    text = report(tmp_path, Mesh(stable=Side(quality=0.85), canary=Side(quality=0.86)))
    assert text.startswith("# chat: old → new\n\n**Promoted**: no worse after")
    assert text.count("## Both sides at") == 3
    assert "| latency, p95 | 40.0 ms | 40.0 ms | +0 % |" in text
    drawn = {path.name for path in (tmp_path / "report").glob("*.png")}
    assert drawn == {"errors.png", "slow-calls.png", "latency-p95.png", "quality.png"}
    assert all(f"({name})" in text for name in drawn)


def test_the_report_compares_the_answers_of_shadow_calls(tmp_path: Path) -> None:
    """By kind, with those that could not be compared; other models' pairs are left out."""
    pair = {"timestamp": "2999-01-01T00:00:00+00:00", "stable_model": "old", "canary_model": "new", "kind": "texts"}
    pairs = [pair | {"similarity": value} for value in (0.5, 1.0, None)] + [pair | {"canary_model": "x"}]
    text = report(tmp_path, Mesh(), pairs)
    assert "| texts | 2 | 0.750 | 0.525 | 0.500 | 50 % | 1 |" in text
    assert (tmp_path / "report" / "alike-texts.png").exists()


def test_the_report_is_of_the_last_rollout_of_its_name(tmp_path: Path) -> None:
    """One that failed before is another."""
    assert "**Rolled back**" in report(tmp_path, Mesh(canary=Side(errors=0.5)))
    text = report(tmp_path, Mesh())
    assert "**Promoted**" in text and "odds of" not in text


def test_without_matplotlib_the_report_has_its_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says what brings the plots."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    text = report(tmp_path, Mesh())
    assert "pip install 'waypost[report]'" in text and not list((tmp_path / "report").glob("*.png"))


def test_a_rollout_that_nobody_knows_has_no_report(tmp_path: Path) -> None:
    """The message says where was looked."""
    with pytest.raises(rollout_report.NothingKnown, match=r"rollouts\.jsonl has nothing of a rollout of 'chat'"):
        rollout_report.write("chat", tmp_path / "rollouts.jsonl", tmp_path / "shadows.jsonl", tmp_path)


def test_odds_beyond_counting_are_a_number_still() -> None:
    """They would not fit a float."""
    seen = {"stable": 0.0, "canary": 1.0, "stable_n": 9, "canary_n": 9, "log_odds": 5000.0, "needed": 4.4}
    words = rollout.regression_words({"metric": "errors", "evidence": seen})
    assert math.isfinite(float(words.split("odds of ")[1].split()[0]))
