"""`waypost logs`: decisions read, followed, filtered and explained; levels changed."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.commands import Run
from waypost.cli import decision, interrupt
from waypost.cli import logs as command
from waypost.v1 import mesh_pb2

TERMS = {"latency": 1.0, "queue": 0.9, "fit": 1.0, "health": 1.0, "feedback": 0.5}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def line(request_id: str = "a1b2c3", **said: Any) -> dict[str, Any]:
    """A line as the router writes it, of a call that went well at once."""
    usual: dict[str, Any] = {
        "event": "decision",
        "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "request_id": request_id,
        "method": "/waypost.v1.EmbedService/Embed",
        "hops": [{"model": "minilm", "reason": "named"}],
        "model": "minilm",
        "model_reason": "named",
        "policy": "expected_completion",
        "reason": "only",
        "candidates": [candidate("local-0", 1.0)],
        "chosen": "local-0",
        "attempts": [{"instance": "local-0", "code": "OK", "latency_ms": 0.5}],
        "latency_ms": 0.6,
        "code": "OK",
        "request_bytes": 20,
        "cost_usd": 0.0,
        "cache": "miss",
    }
    return usual | said


def candidate(instance: str, propensity: float, **said: Any) -> dict[str, Any]:
    usual = {"instance": instance, "score": 4.4, "terms": TERMS, "in_flight": 3, "admitted": True}
    return usual | {"propensity": propensity} | said


WRITTEN = line(
    "f00d",
    trace_id=TRACE,
    span_id="00f067aa0ba902b7",
    method="/waypost.v1.GenerateService/Generate",
    tenant="acme",
    features={
        "complexity": 0.81,
        "quantile": 0.93,
        "confidence": 0.71,
        "coverage": 0.44,
        "tier": "high",
        "tier_reason": "head",
        "tags": ["code"],
        "guard": "jailbreak",
        "guard_score": 0.93,
    },
    route="default",
    hops=[
        {"model": "small", "reason": "complex+unsure", "quality": 0.31, "faults": ["refusal"]},
        {"model": "thinker", "reason": "poor"},
    ],
    model="thinker",
    model_reason="poor",
    reason="score",
    candidates=[candidate("h-1", 0.75), candidate("h-2", 0.25), candidate("h-3", 0.0, admitted=False)],
    chosen="t-0",
    attempts=[
        {"instance": "h-1", "code": "UNAVAILABLE", "latency_ms": 30.0},
        {"instance": "h-2", "code": "OK", "latency_ms": 400.0},
        {"instance": "t-0", "code": "OK", "latency_ms": 1500.0},
    ],
    latency_ms=2000.0,
    cost_usd=0.0004,
)
REFUSED = line(
    "a1ffff",
    timestamp=(datetime.now(UTC) - timedelta(hours=2)).isoformat(),
    tenant="other",
    hops=[],
    model=None,
    model_reason=None,
    reason=None,
    candidates=[],
    chosen=None,
    attempts=[],
    code="RESOURCE_EXHAUSTED",
    error="the router has 4096 calls under way, which is its limit",
)
LINES = (REFUSED, line(), WRITTEN)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log in Waypost's home; its oldest line is in the generation before."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path / "home"))
    path = tmp_path / "home" / "log" / "decisions.jsonl"
    path.parent.mkdir(parents=True)
    Path(f"{path}.1").write_text(json.dumps(LINES[0]) + "\n")
    path.write_text("".join(json.dumps(each) + "\n" for each in LINES[1:]))
    return path


WANTED: list[tuple[str, str]] = [
    ("", "012"),
    ("--last 1", "2"),
    ("--last 0", "012"),
    ("--since 1h", "12"),
    ("--slower 100ms", "2"),
    ("--model small", "2"),
    ("--model minilm", "1"),
    ("--instance h-1", "2"),
    ("--instance local-0", "1"),
    ("--tenant acme", "2"),
    ("--code resource_exhausted", "0"),
    ("--reason poor", "2"),
    ("--reason named/only", "1"),
    ("--method embed", "01"),
    ("--request a1", "01"),
    ("--request a1b2c3", "1"),
    (f"--trace {TRACE}", "2"),
    ("--trace 4bf", "2"),
    ("--model small --code CANCELLED", ""),
]


@pytest.mark.parametrize(("options", "found"), WANTED, ids=[options or "all" for options, _ in WANTED])
def test_calls_are_found_by_what_is_known_of_them(run: Run, log: Path, options: str, found: str) -> None:
    """The oldest first, across rotated files; with --json as they were written."""
    shown = run("logs", "--json", *options.split()).out.splitlines()
    assert [LINES.index(json.loads(each)) for each in shown] == list(map(int, found))


def test_a_line_says_who_answered_and_how_it_ended(run: Run, log: Path) -> None:
    """For people: one line per call, errors in words."""
    refused, plain, written = run("logs").out.splitlines()
    assert all(word in refused for word in ("Embed", "a1ffff", "RESOURCE_EXHAUSTED", "other", "which is its limit"))
    assert all(word in plain for word in ("minilm on local-0", "0.60 ms", "OK", "named/only"))
    assert all(word in written for word in ("Generate", "small → thinker on t-0", "3 tries", "acme", "0.0004 USD"))


def test_lines_fit_a_narrow_terminal() -> None:
    """80 letters: the most useful come first."""
    console = Console(width=80, record=True, file=io.StringIO())
    for each in LINES:
        text = decision.brief(each, 80, datetime.now().astimezone())
        console.print(text, no_wrap=True, overflow="ellipsis")
    shown = console.export_text().splitlines()
    assert len(shown) == len(LINES)
    assert all(each["request_id"][:8] in text for each, text in zip(LINES, shown, strict=True))
    assert "RESOURCE_EXHAUSTED" in shown[0]
    assert "minilm on local-0" in shown[1]


def test_one_call_is_explained(run: Run, log: Path) -> None:
    """Prompt, models, replicas with scores and chances, attempts, cost: in the order in which it happened."""
    shown = run("logs", "explain", "f00d").out
    words = [
        "f00d",
        TRACE,
        "tier high",
        "complexity 0.81",
        "calls for code",
        "jailbreak (0.93)",
        "default",
        "small: the prompt needs more than most; the head is not sure",
        "judged 0.31: refusal",
        "thinker: the answer before was poor",
        "h-1",
        "75 %",
        "attempts",
        "UNAVAILABLE",
        "1500.00 ms",
        "not in the cache",
        "0.0004 USD",
        "2000.00 ms, of which 70.00 ms in the router",
        "OK, answered by t-0",
    ]
    places = [shown.index(word) for word in words]
    assert places == sorted(places)
    (marked,) = (row for row in shown.splitlines() if row.startswith("→"))
    assert "h-1" in marked


def test_a_refused_call_is_explained_too(run: Run, log: Path) -> None:
    """It has neither candidates nor attempts; the beginning of its id is enough."""
    shown = run("logs", "explain", "a1ff").out
    assert "which is its limit" in shown
    assert "attempts" not in shown


def test_an_id_that_is_not_clear_is_not_guessed(run: Run, log: Path) -> None:
    """The ids are said."""
    done = run("logs", "explain", "a1")
    assert (done.code, done.out) == (1, "")
    assert "2 request ids begin with 'a1': a1ffff, a1b2c3" in done.err


def test_several_calls_of_one_id_are_all_explained(run: Run, log: Path) -> None:
    """Callers choose ids, and repeat a call under the same; an id that others begin with is clear."""
    log.write_text("".join(json.dumps(line(each)) + "\n" for each in ("x", "xy", "x")))
    assert run("logs", "explain", "x").out.count("answered by") == 2
    assert [each["request_id"] for each in run("logs", "explain", "xy", "--json").json] == ["xy"]


def test_a_call_that_nobody_knows_is_said_to_be_unknown(run: Run, log: Path) -> None:
    """With the file that was looked into, and how far it goes back."""
    done = run("logs", "explain", "nothing")
    back = decision.moment(REFUSED).astimezone()
    assert done.code == 1
    assert f"no decision of a request 'nothing' in {log}, which goes back to {back:%Y-%m-%d %H:%M}" in done.err


def test_without_a_log_the_command_says_where_it_looked(run: Run, tmp_path: Path) -> None:
    """It is on the router's machine."""
    for arguments in ((), ("explain", "x")):
        done = run("logs", *arguments, "--file", str(tmp_path / "none.jsonl"))
        assert (done.code, done.out) == (1, "")
        assert "no decision log at" in done.err


def test_texts_of_callers_are_no_commands_of_the_terminal(run: Run, log: Path) -> None:
    """Whatever an id or an error has in it."""
    log.write_text(json.dumps(line("x\x1b]0;mine\x07", code="UNKNOWN", error="\x1b[2J", tenant="\x9b1m")) + "\n")
    assert not {"\x1b", "\x9b"} & set(run("logs").out + run("logs", "explain", "x").out)


class Pressed:
    """Ctrl-C that is pressed once so many lines were shown; `then` happens after the first of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lines: int, then: Callable[[], object]) -> None:
        stops: list[Callable[[], object]] = []
        shown, left = command._say_json, [lambda: stops[0](), *[lambda: None] * (lines - 2), then]

        def say(line: Any) -> None:
            shown(line)
            left.pop()()

        def on_ctrl_c(stop: Callable[[], object]) -> Any:
            stops.append(stop)
            return interrupt.on_ctrl_c(stop)

        monkeypatch.setattr(command, "_say_json", say)
        monkeypatch.setattr(command, "on_ctrl_c", on_ctrl_c)


def test_what_comes_is_followed_until_ctrl_c(run: Run, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the last ones, and with the same filter."""
    Pressed(monkeypatch, 3, lambda: written(log, line("b1"), line("skipped", code="UNKNOWN"), line("b2")))
    done = run("logs", "-f", "-n", "1", "--code", "ok", "--method", "embed", "--json")
    assert [json.loads(each)["request_id"] for each in done.out.splitlines()] == ["a1b2c3", "b1", "b2"]
    assert done.code == 0


def written(log: Path, *lines: dict[str, Any]) -> None:
    with log.open("a") as file:
        file.writelines(json.dumps(each) + "\n" for each in lines)


class Kept:
    """The decisions that a router keeps."""

    def __init__(self, mesh: Any, *lines: dict[str, Any]) -> None:
        self.lines = list(lines)
        mesh.answers["ListDecisions"] = self

    def __call__(self, request: Any, context: Any) -> mesh_pb2.ListDecisionsResponse:
        numbered = list(enumerate(self.lines, 1))[request.after :][-(request.limit or 100) :]
        found = [mesh_pb2.Decision(number=number, json=json.dumps(each)) for number, each in numbered]
        return mesh_pb2.ListDecisionsResponse(decisions=found)


def test_a_router_elsewhere_is_asked(run: Run, mesh: Any) -> None:
    """By --address; filters, and explanations, are the same."""
    Kept(mesh, *LINES)
    shown = run("logs", "--address", mesh.address, "--json", "--method", "embed", "-n", "1").out
    assert json.loads(shown) == LINES[1]
    assert "tier high" in run("logs", "explain", "f00d", "--address", mesh.address).out
    assert "among the 3 latest" in run("logs", "explain", "x", "--address", mesh.address).err


def test_a_router_elsewhere_is_followed(run: Run, mesh: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each decision once."""
    kept = Kept(mesh, line("a"))
    Pressed(monkeypatch, 3, lambda: kept.lines.extend([line("b"), line("c")]))
    shown = run("logs", "-f", "--address", mesh.address, "--json").out
    assert [json.loads(each)["request_id"] for each in shown.splitlines()] == ["a", "b", "c"]


def test_levels_are_changed_while_the_mesh_runs(run: Run, mesh: Any) -> None:
    """Of all, or of one."""
    mesh.answers["SetLogLevel"] = lambda request, context: mesh_pb2.SetLogLevelResponse(
        instances=[request.instance or "router", "local-0"]
    )
    assert "debug: router, local-0" in run("logs", "level", "debug", "--address", mesh.address).out
    run("logs", "level", "warning", "--instance", "w", "--address", mesh.address)
    told = [(each.level, each.instance) for each in mesh.requests]
    assert told == [(mesh_pb2.LOG_LEVEL_DEBUG, ""), (mesh_pb2.LOG_LEVEL_WARNING, "w")]


def test_a_level_that_there_is_not_is_wrong_usage(run: Run, mesh: Any) -> None:
    """With those that there are."""
    done = run("logs", "level", "loud", "--address", mesh.address)
    assert done.code == 2
    assert "debug" in done.err
