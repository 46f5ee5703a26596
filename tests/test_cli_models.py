"""`waypost models`, `waypost pull`, and what `waypost up` says about models before it opens a port."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from services import onnx as backend
from tests import tiny_bert
from waypost import cli, config
from waypost.cli import models
from waypost.cli.failures import CommandError
from waypost.config import Model

BROKEN = """
[[workers]]
name = "local"
[[workers.models]]
name = "a"
source = "all-minilm-l6-v3"
[[workers.models]]
name = "b"
source = "{folder}"
[[workers.models]]
name = "c"
backend = "hash"
heads = ["moods"]
[[workers.models]]
name = "d"
source = "bge-small-en-v1.5"
"""

WRITER = """
[[workers]]
name = "writer"
[[workers.models]]
name = "tiny"
backend = "llama"
source = "{file}"
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, and wide tables."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "home"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Runs the command `waypost` in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["waypost", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


def test_the_list_says_what_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model counts as here once it was pulled."""
    tiny_bert.write(tmp_path / "models" / "tiny")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "catalogue.toml").write_text(
        '[[models]]\nname = "tiny"\ndimensions = 32\nmax_tokens = 64\n'
        'files = [{ name = "model.safetensors" }, { name = "config.json" }, { name = "tokenizer.json" }]\n'
        '[[models.sources]]\nkind = "folder"\npath = "$WAYPOST_MODELS/tiny"\n'
    )
    monkeypatch.setenv("WAYPOST_MODELS", str(tmp_path / "models"))
    here = []
    for _ in range(2):
        assert run(monkeypatch, "models", "list", "--json") == 0
        listed = {each["name"]: each["here"] for each in json.loads(capsys.readouterr().out)}
        here.append(listed["tiny"])
        assert run(monkeypatch, "pull", "tiny") == 0
        capsys.readouterr()
    assert here == [False, True]
    assert backend.load(Model(name="tiny"), sessions=1).dimensions == 32


def test_an_unknown_model_is_one_line_and_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr, with the nearest name."""
    assert run(monkeypatch, "pull", "all-minilm-l6") == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "did you mean 'all-minilm-l6-v2'" in shown.err


def test_everything_that_keeps_a_mesh_from_starting_is_said_at_once(tmp_path: Path) -> None:
    """An unknown model, a broken one, an unknown head, and one that may not be fetched: before any port opens."""
    folder = tiny_bert.write(tmp_path / "tiny")
    (folder / "model.safetensors").write_bytes(b"cut")
    file = tmp_path / "waypost.toml"
    file.write_text(BROKEN.format(folder=folder))
    with pytest.raises(CommandError) as error:
        models.ready(config.load(file), may_pull=False)
    said = str(error.value)
    for expected in ("'all-minilm-l6-v3'", "model.safetensors cannot be used", "'moods'", "waypost pull bge-small"):
        assert expected in said


def test_a_mesh_that_cannot_write_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package that writing takes; it says how to have it, or what to do without."""
    (tmp_path / "tiny.gguf").write_bytes(b"GGUF")
    file = tmp_path / "waypost.toml"
    file.write_text(WRITER.format(file=tmp_path / "tiny.gguf"))
    models.ready(config.load(file), may_pull=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CommandError, match=r"pip install 'waypost\[llama\]'.*backend = \"xllama\""):
        models.ready(config.load(file), may_pull=False)
