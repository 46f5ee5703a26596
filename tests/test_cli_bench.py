"""`waypost bench`: figures of a real mesh, and the report that is made of them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.author import authors
from tests.commands import Run
from tests.plane import Node, Plane
from waypost.cli import bench_report


@pytest.fixture
def router(plane: Plane) -> Node:
    """With a model that reads."""
    return plane.router(plane.worker(plane.hash_model(heads=[plane.head("mood")])), cache={"enabled": True})


def measured(run: Run, router: Node, *options: str) -> list[dict[str, Any]]:
    done = run("bench", "--seconds", "0.2", "--address", router.address, "--json", *options)
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_what_the_mesh_does_is_measured(run: Run, router: Node) -> None:
    """One run of each kind; nothing fails, and nothing comes from the router's cache."""
    found = measured(run, router, "--clients", "2")
    assert [each["task"] for each in found] == ["embed", "classify mood", "rerank"]
    assert all(each["calls"] > 0 and each["failed"] == 0 and each["clients"] == 2 for each in found)
    assert all(0 < each["p50"] <= each["p95"] <= each["p99"] for each in found)
    assert router.status()["cache"]["hits"] == 0


def test_several_numbers_of_clients_are_tried(run: Run, router: Node) -> None:
    """One after the other, for each task that is asked for."""
    found = measured(run, router, "--sweep", "1,4", "--task", "rerank", "--task", "embed")
    assert [(each["task"], each["clients"]) for each in found] == [
        ("rerank", 1),
        ("rerank", 4),
        ("embed", 1),
        ("embed", 4),
    ]


@pytest.mark.parametrize("sweep", ["", "a", "4,1", "0,2", "2,2"])
def test_numbers_that_do_not_grow_are_wrong_usage(run: Run, router: Node, sweep: str) -> None:
    """With what to write."""
    done = run("bench", "--sweep", sweep, "--address", router.address)
    assert done.code == 2
    assert "1,8,32" in done.err


def test_written_answers_are_read_token_by_token(run: Run, plane: Plane) -> None:
    """First token, whole answer, tokens a second as the model counts them; no prompt twice."""
    writer = plane.writer(slots=4, queue_limit=16)
    with authors(writer) as (author,):
        router = plane.router(plane.worker(writer))
        (found,) = measured(run, router, "--task", "generate", "--clients", "3", "--max-tokens", "7")
    assert found["calls"] > 0 and found["failed"] == 0
    assert 0 < found["first_p50"] <= found["p50"]
    assert found["tokens_per_s"] == pytest.approx(10 * found["calls_per_s"])
    prompts = [each.chat.messages[-1].content for each in author.asked]
    assert len(set(prompts)) == len(prompts)
    assert {each.max_tokens for each in author.asked} == {7}


def test_calls_that_fail_are_counted(run: Run, plane: Plane) -> None:
    """And no latencies of them."""
    writer = plane.writer()
    router = plane.router(plane.worker(writer))
    writer.inbox.close()
    (found,) = measured(run, router, "--task", "generate", "--clients", "1")
    assert found["failed"] == found["calls"] > 0
    assert found["p50"] == 0.0


def test_what_no_model_does_is_said(run: Run, router: Node) -> None:
    """And a model that nobody has."""
    assert "has nothing that does generate" in run("bench", "--task", "generate", "--address", router.address).err
    assert "has no model 'none'" in run("bench", "--model", "none", "--address", router.address).err


def test_a_report_has_figures_plots_and_what_to_make_of_them(run: Run, router: Node, tmp_path: Path) -> None:
    """In a folder that is made; the figures are the same as those on stdout."""
    folder = tmp_path / "a" / "report"
    found = measured(run, router, "--sweep", "1,4", "--task", "embed", "--task", "rerank", "--report", str(folder))
    text = (folder / "report.md").read_text()
    words = ("waypost bench --seconds 0.2", "hash", "processor", "cores", "load before", "p99", "wait in its queue")
    assert [word for word in words if word not in text] == []
    for each in found:
        assert f"| {each['task']} | {each['clients']} |" in text
        assert f"| {each['calls']:,} | 0 |" in text
    assert sorted(path.name for path in folder.iterdir()) == [
        "latency-embed.png",
        "latency-rerank.png",
        "report.md",
        "throughput.png",
    ]
    assert all(f"]({path.name})" in text for path in folder.glob("*.png"))
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            image.load()
            assert (image.format, image.size) == ("PNG", (990, 440))
            assert len(set(np.asarray(image.convert("L")).ravel().tolist())) > 20


def test_failures_stand_out_in_a_report(run: Run, plane: Plane, tmp_path: Path) -> None:
    """As does a tail of few calls."""
    writer = plane.writer()
    router = plane.router(plane.worker(writer))
    writer.inbox.close()
    measured(run, router, "--task", "generate", "--clients", "1", "--report", str(tmp_path / "r"))
    text = (tmp_path / "r" / "report.md").read_text()
    assert "calls failed**" in text
    assert "only " in text


def test_without_matplotlib_nothing_is_measured_for_a_report(
    run: Run, router: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command says how to get it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    done = run("bench", "--report", str(tmp_path / "r"), "--address", router.address)
    assert (done.code, done.out) == (1, "")
    assert "pip install 'waypost[report]'" in done.err
    assert not (tmp_path / "r").exists()


def test_the_tail_of_a_distribution_is_drawn_as_it_is() -> None:
    """However many calls there were, few points are drawn, and the slowest are among them."""
    latencies = np.random.default_rng(0).permutation(np.arange(1.0, 100_001.0))
    times, above = bench_report._tail(latencies)
    assert len(times) <= bench_report.POINTS
    assert list(times[-5:]) == list(range(99_995, 100_000))
    assert np.all(np.diff(above) < 0)
    assert above == pytest.approx(1 - times / 100_000)
