"""`waypost train`: what it writes, what it prints, and the one line that a refusal is."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from waypost import _core, cli

Run = Callable[..., tuple[int, str, str]]
FILE = "mine.csv"
EXAMPLES = [
    *((f"please send {sum_} euros to the landlord", "money") for sum_ in ("ten", "nine", "six", "two", "five")),
    *((f"will it rain in {town} tomorrow", "weather") for town in ("Rome", "Paris", "Oslo", "Bonn", "Graz")),
]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs `waypost train …` in an empty folder that has examples of one's own, and no model anywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / FILE).write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in EXAMPLES))

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["waypost", "train", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        shown = capsys.readouterr()
        return int(left.value.code or 0), shown.out, shown.err

    return call


def test_own_labels_become_a_head_that_can_be_served(run: Run) -> None:
    """Head, card and run log are written, and the configuration's line is shown."""
    code, out, err = run("labels", FILE, "--name", "mine", "--encoder", "none")
    assert (code, err) == (0, "")
    assert 'heads = ["./out/mine.safetensors"]' in out
    written = [f"mine{ending}" for ending in (".lineage.json", ".md", ".run.json", ".safetensors")]
    assert sorted(path.name for path in Path("out").iterdir()) == written
    assert _core.LinearHead("out/mine.safetensors").labels == ["money", "weather"]


def test_json_is_the_run_log(run: Run) -> None:
    """And nothing else is on stdout."""
    code, out, _ = run("labels", FILE, "--name", "mine", "--encoder", "none", "--out", "elsewhere", "--json")
    said = json.loads(out)
    assert (code, said["head"], said["log"]["data"]["train"]) == (0, "elsewhere/mine.safetensors", 8)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("labels", "gone.csv", "--name", "x", "--encoder", "none"), "There is no file gone.csv"),
        (("labels", FILE, "--name", "x"), "waypost pull all-minilm-l6-v2"),
        (("labels", FILE, "--name", "x", "--encoder", "minilm"), "no model 'minilm'"),
        (("head", "itnent", "--data", "."), "No recipe named 'itnent'"),
        (("head", "sentiment-hash", "--data", "."), "There is no file sentiment_sst2.jsonl.gz"),
        (("head", "jailbreak", "--data", "."), "There is no file jailbreak_inthewild_train.jsonl.gz"),
        (("frequencies", "--data", "."), "There is no file intent_clinc150.jsonl.gz"),
    ],
)
def test_a_refusal_is_one_line(run: Run, arguments: tuple[str, ...], said: str) -> None:
    """On stderr, with exit code 1, saying what to do."""
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert said in err


def test_without_scipy_the_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serving does not need it, so it may well be missing."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    code, _, err = run("labels", FILE, "--name", "mine", "--encoder", "none")
    assert (code, "pip install 'waypost[train]'" in err) == (1, True)
