"""`waypost top` and `waypost status --watch`: figures, frames, and a router that comes and goes."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from tests.commands import Run
from tests.fake_mesh import FakeMesh, failing
from tests.test_cli_logs import REFUSED, Kept, line
from waypost.cli import rates, top, watching
from waypost.cli.rates import Counters, Past
from waypost.cli.top_view import View
from waypost.control import Budget, ModelSpend
from waypost.observed import (
    CacheStatus,
    Decision,
    History,
    HistoryPoint,
    InstancePoint,
    MetricFamily,
    MetricSeries,
    RouterStatus,
    ScoreWeights,
    TierStatus,
)
from waypost.results import InstanceStatus, ModelInfo
from waypost.v1 import common_pb2, mesh_pb2, metrics_pb2

NOW = datetime(2026, 1, 22, 12, tzinfo=UTC)
BOUNDS = (0.001, 0.01, 0.1, 1.0)


# ---- figures ----


def point(age_s: int, calls: int = 0, errors: int = 0, **said: Any) -> HistoryPoint:
    """A second, `age_s` ago; its calls took between 1 and 10 ms."""
    usual = {"completion_tokens": 0, "prompt_tokens": 0, "cost_usd": 0.0, "cache_hits": 0, "in_flight": 0}
    latencies, at = (0, calls, 0, 0, 0), NOW - timedelta(seconds=age_s)
    return HistoryPoint(
        **{"time": at, "calls": calls, "errors": errors, "latencies": latencies, "instances": ()} | usual | said
    )


@given(
    counts=st.lists(st.integers(0, 1000), min_size=5, max_size=5).filter(any),
    low=st.floats(0, 1),
    high=st.floats(0, 1),
)
def test_quantiles_grow_and_lie_in_a_bucket_that_counts(counts: list[int], low: float, high: float) -> None:
    """Whatever was counted."""
    low, high = sorted((low, high))
    found = [rates.quantile(BOUNDS, counts, q) for q in (low, high)]
    assert found[0] is not None and found[1] is not None
    assert found[0] <= found[1] <= BOUNDS[-1]
    filled = [index for index, count in enumerate(counts) if count]
    assert found[0] >= (0.0, *BOUNDS)[min(filled[0], 4)]
    assert found[1] <= (*BOUNDS, BOUNDS[-1])[filled[-1]]


def test_quantiles_are_as_prometheus_has_them() -> None:
    """Evenly within a bucket, at the last bound above it; nothing of nothing."""
    assert rates.quantile(BOUNDS, [0, 10, 0, 0, 0], 0.5) == pytest.approx(0.0055)
    assert rates.quantile(BOUNDS, [90, 0, 10, 0, 0], 0.95) == pytest.approx(0.055)
    assert rates.quantile(BOUNDS, [0, 0, 0, 0, 3], 0.5) == 1.0
    assert rates.quantile(BOUNDS, [0] * 5, 0.5) is None


@given(st.lists(st.floats(0, 1e9), max_size=50), st.integers(-1, 60))
def test_a_sparkline_is_as_wide_as_it_is_told(values: list[float], width: int) -> None:
    """The last value is at the right; what is nothing has no bar, and nothing else has none."""
    shown = rates.spark(values, width)
    assert len(shown) == max(width, 0)
    seen = values[-width:] if width > 0 else []
    assert [bar != " " for bar in shown[len(shown) - len(seen) :]] == [value > 0 for value in seen]


def test_rates_are_means_over_the_window() -> None:
    """Or over what there is, where that is less."""
    past = Past(window_s=10)
    past.add(History(BOUNDS, tuple(point(age, calls=100 if age >= 10 else 10, errors=1) for age in range(30, -1, -1))))
    assert past.per_second(lambda each: each.calls) == 10.0
    assert past.quantile(0.5) == pytest.approx(0.0055)
    fresh = Past(window_s=10)
    assert (fresh.per_second(lambda each: each.calls), fresh.quantile(0.5)) == (0.0, None)
    fresh.add(History(BOUNDS, (point(1, calls=3), point(0, calls=5))))
    assert fresh.per_second(lambda each: each.calls) == 4.0


def counted(ok: int, failed: int = 0, tokens: int = 0, model: str = "m") -> tuple[MetricFamily, ...]:
    """What a router counted of a model whose calls took between 10 and 100 ms."""

    def family(name: str, kind: str, labels: str, *series: tuple[str, float], buckets: Any = ()) -> MetricFamily:
        made = (MetricSeries((model, *values.split()), value, tuple(buckets), NOW, ()) for values, value in series)
        return MetricFamily(name, "", kind, ("model", *labels.split()), BOUNDS if buckets else (), tuple(made))

    return (
        family("waypost_calls", "counter", "task code", ("embed OK", ok), ("embed UNKNOWN", failed)),
        family("waypost_call_seconds", "histogram", "task", ("embed", 1.0), buckets=(0, 0, ok + failed, 0, 0)),
        family("waypost_tokens", "counter", "kind", ("completion", tokens), ("prompt", 7 * tokens)),
    )


def test_what_models_do_is_the_difference_between_two_looks() -> None:
    """Over the window; one look says nothing yet."""
    counters = Counters(window_s=10)
    counters.add(0.0, counted(1000, 10))
    assert counters.of("m") is None
    counters.add(5.0, counted(1100, 15, 500))
    found = counters.of("m")
    assert found
    assert (found.calls, found.failed, found.tokens) == (21.0, 1.0, 100.0)
    assert found.p95 == pytest.approx(0.0955)
    counters.add(100.0, counted(1100, 15, 500))
    counters.add(110.0, counted(1100, 15, 500))
    assert counters.of("m") == rates.ModelRates(0.0, 0.0, None, 0.0)


def test_a_router_that_began_anew_counts_from_nothing() -> None:
    """A rate is never below zero."""
    counters = Counters()
    counters.add(0.0, counted(1000, 10))
    counters.add(2.0, counted(8))
    found = counters.of("m")
    assert found and (found.calls, found.failed) == (4.0, 0.0)


def test_without_metrics_nothing_is_said_of_models() -> None:
    """They may be switched off."""
    counters = Counters()
    counters.add(0.0, ())
    counters.add(1.0, ())
    assert counters.of("m") is None


# ---- frames ----

INSTANCE = {"address": "unix:/w", "state": "ready", "models": ("m",), "tags": (), "in_flight": 3, "requests": 123456}
INSTANCE |= {"failures": 2, "latency_ewma": 0.002, "latency_p95": 0.0042, "success_rate": 0.9997}


def instance(name: str, **said: Any) -> InstanceStatus:
    return InstanceStatus(**{"instance": name} | INSTANCE | said)


def model(name: str, **said: Any) -> ModelInfo:
    usual = {"version": "1", "backend": "onnx", "tasks": ("embed",), "tags": (), "tier": "simple", "dimensions": 384}
    usual |= {"max_tokens": 256, "heads": (), "cost_per_1k_tokens_usd": 0.0, "quality": 0.5, "adapters": ()}
    usual |= {"cost_per_1k_output_tokens_usd": 0.0, "slots": 0, "default_max_tokens": 0}
    return ModelInfo(**{"name": name} | usual | said)


def frame(instances: Sequence[InstanceStatus], models: Sequence[ModelInfo], **said: Any) -> top.Frame:
    """A mesh at work."""
    cache = CacheStatus(45, 5, 50, 1 << 20, 0, 0)
    tiers = (TierStatus("simple", 0.6, 0.62), TierStatus("premium", 0.05, 0.03))
    weights = ScoreWeights(1, 1, 1, 1, 1)
    began = NOW - timedelta(hours=3, minutes=12)
    status = RouterStatus(
        "router", "0.1.0", began, "score", 213, 4096, 100.0, weights, "info", cache, tiers, (), 0, "operate"
    )
    at = tuple(InstancePoint(each.instance, 20 + index, 1, 2) for index, each in enumerate(instances))
    past, counters = Past(), Counters()
    past.add(History(BOUNDS, tuple(point(age, 70, 1, instances=at, completion_tokens=90) for age in range(60, 0, -1))))
    counters.add(0.0, counted(0))
    counters.add(10.0, counted(500, 5, 900))
    usual = {"address": "127.0.0.1:50051", "now": NOW, "status": status, "instances": instances, "models": models}
    usual |= {"budget": Budget("2026-01", 200.0, 161.2, 0.05, 38.75, (ModelSpend("m", 12, 161.2),))}
    usual |= {"decisions": [Decision(number, each) for number, each in enumerate([line(), REFUSED] * 10, 1)]}
    return top.Frame(**usual | {"past": past, "counters": counters} | said)


INSTANCES = (
    instance("w-0"),
    instance("w-1", breaker="open", latency_p95=2.31, success_rate=0.5),
    instance("w-2", drained=True),
    instance("w-3", state="ejected"),
)
MODELS = (model("m"), model("other", unloaded=True), model("third", pinned=True))


def shown(seen: RenderableType, width: int) -> list[str]:
    """The lines of a frame."""
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(seen)
    return console.export_text().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_a_frame_says_how_the_mesh_fares(width: int) -> None:
    """Rates, latencies, money, tiers, instances, models and decisions; nothing is cut in 80 columns."""
    text = "\n".join(shown(View(frame(INSTANCES, MODELS), top.Sort.CALLS, None), width))
    words = ["up 3 h 12 min", "calls/s", "70.0", "5.50 ms", "213 of 4,096", "50 % hits", "161.25 of 200 USD", "90.0"]
    words += ["62 % simple, aim 60 %", "3 % premium, aim 5 %", "breaker open", "drained", "ejected", "2.31 s", "50 %"]
    words += ["50.5", "95.5 ms", "161.20 USD", "out of service", "pinned", "minilm on local-0", "RESOURCE_EXHAUSTED"]
    assert [word for word in words if word not in text] == []


@settings(deadline=None, max_examples=40)
@given(
    instances=st.integers(0, 40),
    models=st.integers(0, 40),
    tiers=st.integers(0, 4),
    height=st.integers(20, 60),
    width=st.sampled_from([80, 100, 120, 200]),
)
def test_a_frame_fits_the_terminal(instances: int, models: int, tiers: int, height: int, width: int) -> None:
    """However many rows there are; what is left out is counted."""
    seen = frame([instance(f"w-{each}") for each in range(instances)], [model(f"m{each}") for each in range(models)])
    object.__setattr__(seen.status, "tiers", (TierStatus("simple", 0.6, 0.62),) * tiers)
    lines = shown(View(seen, top.Sort.NAME, height), width)
    assert len(lines) <= height
    assert all(len(each) <= width for each in lines)
    left_out = sum(int(each.split()[1]) for each in lines if each.startswith("…"))
    rows = sum(each.startswith(("w-", "m")) and not each.startswith("model ") for each in lines)
    assert rows + left_out == instances + models


@pytest.mark.parametrize(
    ("sort", "first"),
    [("calls", "w-3"), ("p95", "w-1"), ("busy", "w-0"), ("name", "w-0"), ("failed", "w-0")],
)
def test_rows_are_sorted_as_is_asked(sort: str, first: str) -> None:
    """Most first; the name decides between equals."""
    lines = shown(View(frame(INSTANCES, MODELS), top.Sort(sort), None), 80)
    (heading,) = (index for index, each in enumerate(lines) if each.startswith("instance"))
    assert lines[heading + 1].startswith(first)


def test_what_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that is away, no limit, no calls, no metrics."""
    seen = frame(INSTANCES, MODELS, budget=None, past=Past(), counters=Counters(), decisions=())
    text = "\n".join(shown(View(seen, top.Sort.CALLS, 30), 80))
    assert "the ledger is away" in text
    assert "–" in text
    free = frame(INSTANCES, MODELS, budget=Budget("2026-01", None, 3.0, 0.0, None, ()))
    assert "3.00 USD, no limit" in "\n".join(shown(View(free, top.Sort.CALLS, 30), 80))


# ---- a router that is looked at ----


def seconds(at: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(at)
    return made


@pytest.fixture
def watched(mesh: FakeMesh) -> FakeMesh:
    """A mesh that answers what `top` asks."""
    answering(mesh)
    return mesh


def answering(mesh: FakeMesh) -> None:
    points = [
        mesh_pb2.HistoryPoint(time=seconds(NOW - timedelta(seconds=age)), calls=8, latencies=[0, 8, 0, 0, 0])
        for age in range(5, 0, -1)
    ]
    status = mesh_pb2.GetStatusResponse(instance="router", version="0.1.0", started=seconds(NOW), max_in_flight=64)
    up = mesh_pb2.InstanceStatus(
        instance="w-0", state=mesh_pb2.INSTANCE_STATE_READY, latency_p95=Duration(nanos=4_200_000)
    )
    served = mesh_pb2.ModelInfo(name="minilm", tasks=[mesh_pb2.TASK_EMBED], tier=common_pb2.TIER_SIMPLE)
    Kept(mesh, line(), REFUSED)
    mesh.answers |= {
        "GetStatus": lambda request, context: status,
        "GetHistory": lambda request, context: mesh_pb2.GetHistoryResponse(
            bounds=BOUNDS, points=[each for each in points if each.time.ToDatetime() > request.after.ToDatetime()]
        ),
        "ListInstances": lambda request, context: mesh_pb2.ListInstancesResponse(instances=[up]),
        "ListModels": lambda request, context: mesh_pb2.ListModelsResponse(models=[served]),
        "GetBudget": failing(grpc.StatusCode.UNAVAILABLE, "the ledger cannot be reached"),
        "GetMetrics": Grows(),
    }


class Grows:
    """A counter of calls, 10 more at each look."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, request: Any, context: Any) -> mesh_pb2.GetMetricsResponse:
        self.calls += 10
        series = [metrics_pb2.MetricSeries(values=["embed", "minilm", "OK"], value=self.calls)]
        calls = metrics_pb2.MetricFamily(name="waypost_calls", labels=["task", "model", "code"], series=series)
        return mesh_pb2.GetMetricsResponse(families=[calls])


def test_one_frame_is_printed_where_it_is_asked_for(run: Run, watched: FakeMesh) -> None:
    """Of two looks, since what models do is the difference; also into a pipe."""
    done = run("top", "--once", "--every", "0.2", "--address", watched.address)
    assert done.code == 0
    words = ("w-0", "ready", "4.20 ms", "8.0", "5.50 ms", "the ledger is away", "minilm", "RESOURCE_EXHAUSTED")
    assert [word for word in words if word not in done.out] == []
    (row,) = (each for each in done.out.splitlines() if each.startswith("minilm"))
    assert 1 < float(row.split()[1]) <= 50


def test_a_look_in_json_is_for_programs(run: Run, watched: FakeMesh) -> None:
    """With rates and quantiles, durations in seconds."""
    found = run("top", "--json", "--every", "0.1", "--address", watched.address).json
    assert found["calls_per_s"] == 8.0
    assert found["p50"] == pytest.approx(0.0055)
    assert found["models"][0]["rates"]["calls"] > 0
    assert [each["request_id"] for each in found["decisions"]] == ["a1b2c3", "a1ffff"]


@pytest.mark.parametrize("command", [("top",), ("status", "--watch")])
def test_only_a_terminal_is_written_to_again_and_again(run: Run, watched: FakeMesh, command: tuple[str, ...]) -> None:
    """Elsewhere it would be rubbish."""
    done = run(*command, "--address", watched.address)
    assert (done.code, done.out) == (2, "")
    assert "no terminal" in done.err


def test_a_router_that_is_not_there_is_an_error_of_a_single_frame(run: Run, tmp_path: Path) -> None:
    """As for every command."""
    done = run("top", "--once", "--address", f"unix:{tmp_path}/none.sock")
    assert done.code == 1
    assert "is the mesh running?" in done.err


class Noted:
    """A screen that notes what is shown."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.changed = asyncio.Event()

    def show(self, seen: RenderableType) -> None:
        self._note("frame")

    def away(self, error: str, since: datetime) -> None:
        self._note("away")

    def _note(self, what: str) -> None:
        self.seen.append(what)
        self.changed.set()

    async def until(self, what: str) -> None:
        """Returns once it was shown since the last wait."""
        self.seen.clear()
        while what not in self.seen:
            self.changed.clear()
            await self.changed.wait()


def test_looking_goes_on_while_the_router_is_away(tmp_path: Path) -> None:
    """And shows frames again when it is back, at whatever address it has then."""
    asyncio.run(asyncio.wait_for(_restarted(tmp_path), 60))


async def _restarted(tmp_path: Path) -> None:
    screen, mesh = Noted(), top.Mesh(top.Sort.CALLS, 10)
    places = [f"unix:{tmp_path}/{name}.sock" for name in "ab"]
    at = places[0]
    first = await asyncio.to_thread(_served, at)
    looking = asyncio.create_task(watching.keep_looking(lambda: at, mesh.look, 0.05, screen))
    await screen.until("frame")
    await asyncio.to_thread(first.stop(None).wait)
    await screen.until("away")
    await screen.until("away")
    second = await asyncio.to_thread(_served, at)
    await screen.until("frame")
    at = places[1]
    await asyncio.to_thread(second.stop(None).wait)
    third = await asyncio.to_thread(_served, at)
    await screen.until("frame")
    looking.cancel()
    await asyncio.wait([looking])
    assert looking.cancelled()
    await asyncio.to_thread(third.stop(None).wait)


def _served(address: str) -> grpc.Server:
    mesh = FakeMesh(address)
    answering(mesh)
    return mesh.serve()


def test_who_may_not_look_is_told(run: Run, watched: FakeMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal is no router that is away."""
    watched.answers["ListInstances"] = failing(grpc.StatusCode.PERMISSION_DENIED, "this takes the role operate")
    done = run("top", "--once", "--address", watched.address)
    assert (done.code, done.err) == (1, "waypost: this takes the role operate\n")


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal of 80 columns and 24 lines."""
    ours, theirs = pty.openpty()
    with closing(os.fdopen(ours, "rb", 0)), closing(os.fdopen(theirs, "wb", 0)):
        subprocess.run(["stty", "rows", "24", "cols", "80"], stdin=theirs, check=True)
        yield ours, theirs


@pytest.mark.parametrize(("command", "word"), [(("top",), b"tokens/s"), (("status", "--watch"), b"instances")])
def test_ctrl_c_leaves_cleanly(
    watched: FakeMesh, terminal: tuple[int, int], command: tuple[str, ...], word: bytes
) -> None:
    """Exit code 0, no traceback, and the cursor is there again."""
    ours, theirs = terminal
    arguments = [sys.executable, "-P", "-m", "waypost", *command, "--address", watched.address]
    env = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")} | {"TERM": "xterm"}
    with subprocess.Popen(arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as running:
        said = b""
        while word not in said:
            said += os.read(ours, 65536)
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=30) == 0
    said += os.read(ours, 65536)
    assert b"Traceback" not in said
    assert said.rindex(b"\x1b[?25h") > said.rindex(b"\x1b[?25l")
