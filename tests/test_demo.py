"""`waypost demo`, the first thing a newcomer runs: the default mesh on real models, end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

WAYPOST = (sys.executable, "-P", "-m", "waypost")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, minilm: Path, smollm2: Path) -> dict[str, Any]:
    """What it prints with --json."""
    runtime = tmp_path_factory.mktemp("r")
    env = os.environ | {"WAYPOST_RUNTIME": str(runtime)}
    done = subprocess.run((*WAYPOST, "demo", "--json"), env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed | {"runtime": runtime}


def step(demo: dict[str, Any], name: str) -> Any:
    (found,) = [each for each in demo["steps"] if each["name"] == name]
    return found


def test_all_three_services_answer_through_the_router(demo: dict[str, Any]) -> None:
    """From the encoder, by name, with the time of each stage."""
    names = [each["name"] for each in demo["steps"]]
    assert names == ["embed", "classify intent", "classify sentiment", "classify toxicity", "rerank"]
    for each in demo["steps"]:
        assert each["served"]["model"] == "minilm"
        assert 0 < each["timings"]["total"] < each["round_trip"]


def test_like_sentences_are_near(demo: dict[str, Any]) -> None:
    """Unit vectors of 384 numbers."""
    music, also_music, report = np.array(step(demo, "embed")["answer"]["vectors"])
    assert music.shape == (384,)
    assert music @ also_music > music @ report + 0.2


def test_labels_are_what_a_reader_would_say(demo: dict[str, Any]) -> None:
    """An intent, one out of scope; praise and its opposite; kindness and insult."""
    balance, alarm, ocean = step(demo, "classify intent")["answer"]["results"]
    assert (balance["labels"][0]["label"], alarm["labels"][0]["label"]) == ("balance", "alarm")
    assert ocean["out_of_scope"]
    praise, blame = step(demo, "classify sentiment")["answer"]["results"]
    assert (praise["labels"][0]["label"], blame["labels"][0]["label"]) == ("positive", "negative")
    kind, insult = step(demo, "classify toxicity")["answer"]["results"]
    assert kind["labels"][0]["label"] == "neither"
    assert insult["labels"][0]["label"] != "neither"


def test_the_document_that_answers_comes_first(demo: dict[str, Any]) -> None:
    """Refunds, for a question that has no word in common with it."""
    best = step(demo, "rerank")["answer"]["ranking"][0]
    assert "Refunds" in best["document"]


def test_an_answer_is_streamed(demo: dict[str, Any]) -> None:
    """By the embedded generator, in words, to an end."""
    told = demo["chat"]["answers"][0]["generation"]
    assert told["served"]["model"] == "smollm2"
    assert told["text"].split()[:2] == ["The", "sky"]
    assert told["finish_reason"] in ("stop", "length")
    assert 0 < told["first_token"] < demo["chat"]["answers"][0]["round_trip"]


def test_an_answer_is_json_of_the_schema(demo: dict[str, Any]) -> None:
    """With what the order said."""
    filled = demo["chat"]["answers"][1]
    assert filled["value"] == json.loads(filled["generation"]["text"])
    assert filled["value"] == {"customer": "Anna", "dish": "pizza", "count": 3}


def test_a_stopped_answer_leaves_nothing_in_the_worker(demo: dict[str, Any]) -> None:
    """Which was busy with it before."""
    stopped = demo["chat"]["stopped"]
    assert stopped["text"].strip()
    assert (stopped["busy_before"], stopped["busy_after"]) == (1, 0)


def test_nothing_is_left_behind(demo: dict[str, Any]) -> None:
    """No process, no socket, no state."""
    left = [each for each in psutil.process_iter(["cmdline"]) if demo["grpc"] in " ".join(each.info["cmdline"] or [])]
    assert left == []
    assert list(Path(demo["runtime"]).iterdir()) == []
