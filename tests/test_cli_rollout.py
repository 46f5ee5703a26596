"""`waypost rollout` against a fake mesh that keeps one rollout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo

from tests.commands import Outcome, Run
from tests.fake_mesh import FakeMesh, failing
from waypost.v1 import mesh_pb2

CONFLICT = failing(grpc.StatusCode.ABORTED, "revision 8", ErrorInfo(reason="ERROR_REASON_CHANGED_MEANWHILE"))


class Rollouts:
    """What the mesh keeps, and the commands that change it."""

    def __init__(self, run: Run, mesh: FakeMesh) -> None:
        self.kept: dict[str, mesh_pb2.Rollout] = {}
        self.arms: dict[str, mesh_pb2.RolloutArm] = {}
        self._call = run
        self._address = mesh.address
        mesh.answers |= {"ListRollouts": self._list, "SetRollout": self._set}

    def run(self, *arguments: str) -> Outcome:
        return self._call("rollout", *arguments, "--address", self._address)

    def start(self, *options: str) -> Outcome:
        return self.run("start", "writer", "--stable", "small", "--canary", "large", *options)

    def _list(self, request: object, context: object) -> mesh_pb2.ListRolloutsResponse:
        found = [mesh_pb2.RolloutStatus(rollout=each, **self.arms) for each in self.kept.values()]
        return mesh_pb2.ListRolloutsResponse(rollouts=found)

    def _set(self, request: mesh_pb2.SetRolloutRequest, context: grpc.ServicerContext) -> Any:
        wanted = request.rollout
        kept = self.kept.get(wanted.name, mesh_pb2.Rollout())
        if wanted.revision != kept.revision:
            return CONFLICT(request, context)
        wanted.revision += 1
        self.kept[wanted.name] = wanted
        return mesh_pb2.SetRolloutResponse(rollout=wanted)


@pytest.fixture
def rollouts(run: Run, mesh: FakeMesh) -> Rollouts:
    """A mesh without any."""
    return Rollouts(run, mesh)


def test_a_rollout_starts_at_its_first_step(rollouts: Rollouts) -> None:
    """With shares, shadow and limit as given; times may have a unit."""
    done = rollouts.start("--steps", "0.05,0.5", "--shadow", "0.1", "--step-limit", "2h")
    assert done.out == "writer is running: large gets 5 % (step 1 of 2); revision 1\n"
    assert rollouts.kept["writer"] == mesh_pb2.Rollout(
        name="writer",
        stable="small",
        canary="large",
        steps=[0.05, 0.5],
        shadow_share=0.1,
        step_limit=Duration(seconds=7200),
        state=mesh_pb2.ROLLOUT_STATE_RUNNING,
        reason="by hand",
        revision=1,
    )


def test_steps_are_usual_where_none_are_given(rollouts: Rollouts) -> None:
    """10 %, 30 %, 80 %, half an hour each."""
    rollouts.start()
    kept = rollouts.kept["writer"]
    assert (list(kept.steps), kept.step_limit.seconds) == ([0.1, 0.3, 0.8], 1800)


@pytest.mark.parametrize(
    "options",
    [("--steps", "0.5,0.1"), ("--steps", "0,1"), ("--steps", "many"), ("--step-limit", "0"), ("--shadow", "2")],
    ids=" ".join,
)
def test_options_that_cannot_be_are_wrong_usage(rollouts: Rollouts, options: tuple[str, str]) -> None:
    """Exit code 2, and nothing happens."""
    assert rollouts.start(*options).code == 2
    assert not rollouts.kept


def test_what_runs_is_not_started_again(rollouts: Rollouts) -> None:
    """But what has ended is, from its last revision."""
    rollouts.start()
    assert "being rolled out already" in rollouts.start().err
    rollouts.run("rollback", "writer")
    assert rollouts.start().code == 0
    assert rollouts.kept["writer"].revision == 3


def test_it_goes_step_by_step_and_is_promoted(rollouts: Rollouts) -> None:
    """The last step is not passed."""
    rollouts.start()
    assert "large gets 30 % (step 2 of 3)" in rollouts.run("step", "writer").out
    assert "large gets 80 % (step 3 of 3)" in rollouts.run("step", "writer").out
    assert "at its last step" in rollouts.run("step", "writer").err
    assert "writer is promoted: large gets 100 %" in rollouts.run("promote", "writer", "--reason", "better").out
    assert rollouts.kept["writer"].reason == "better"


def test_it_is_rolled_back_even_when_it_was_promoted(rollouts: Rollouts) -> None:
    """Once."""
    rollouts.start()
    rollouts.run("promote", "writer")
    assert "writer is rolled back: large gets 0 %" in rollouts.run("rollback", "writer").out
    assert "is rolled back already" in rollouts.run("rollback", "writer").err


def test_a_change_by_somebody_else_is_told(rollouts: Rollouts, mesh: FakeMesh) -> None:
    """What was decided on old figures is not done."""
    rollouts.start()
    mesh.answers["SetRollout"] = CONFLICT
    done = rollouts.run("promote", "writer")
    assert done.code == 1
    assert "changed writer meanwhile, and nothing was done: look at `waypost rollout list`" in done.err


def test_an_unknown_rollout_is_named_with_those_there_are(rollouts: Rollouts) -> None:
    """Exit code 1."""
    assert "no rollout 'reader'; there is none" in rollouts.run("promote", "reader").err
    rollouts.start()
    assert "no rollout 'reader'; there is writer" in rollouts.run("step", "reader").err


def test_a_report_is_made_of_the_journal_at_home(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And of the answers that were compared; the command says where it is."""
    asked = []

    def write(name: str, journal: Path, shadows: Path, folder: Path) -> Path:
        asked.extend([name, journal, shadows, folder])
        return folder / "report.md"

    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path))
    monkeypatch.setattr("router.rollout_report.write", write)
    done = run("rollout", "report", "writer", "--out", "there")
    assert done.out == "there/report.md is written\n"
    log = tmp_path / "log"
    assert asked == ["writer", log / "rollouts.jsonl", log / "shadows.jsonl", Path("there")]


def test_a_report_of_nothing_says_who_knows(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On another machine than the router's, for instance."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path))
    done = run("rollout", "report", "writer", "--out", str(tmp_path / "out"))
    assert (done.code, done.out) == (1, "")
    assert "has nothing of a rollout of 'writer'" in done.err


def test_the_list_has_both_sides(rollouts: Rollouts) -> None:
    """Figures where there are any, and the reason below."""
    rollouts.start()
    stable = mesh_pb2.RolloutArm(calls=1290, errors=2, latency_p50=Duration(nanos=210_000_000), quality=0.812)
    rollouts.arms = {"stable": stable}
    shown = rollouts.run("list").out
    for words in ("1,290", "0.155 %", "210.00 ms", "0.812", "canary", "10 % (step 1 of 3)", "writer: by hand"):
        assert words in shown
    assert rollouts.run("list", "--json").json[0]["stable"]["calls"] == 1290
