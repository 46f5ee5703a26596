"""Where a head comes from: a record under the sum of its content, beside the head and in the registry."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from services.heads.shipped import shipped
from waypost import catalogue
from waypost.catalogue import lineage


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def log() -> dict[str, Any]:
    """Of a shipped head."""
    return lineage.run_log(shipped("sentiment"))


def test_the_parent_is_the_encoder_by_the_sum_of_its_weights(log: dict[str, Any]) -> None:
    """As the catalogue pins them."""
    parent = lineage.of_head(log).parent
    weights = catalogue.find("all-minilm-l6-v2").files[0].sha256
    assert parent == lineage.Parent(name="all-minilm-l6-v2", version="1", sha256=weights)


def test_a_head_of_hashed_words_has_no_parent(log: dict[str, Any]) -> None:
    """It learns from texts alone."""
    log["spec"]["encoder"] = ""
    assert lineage.of_head(log).parent is None


def test_the_same_training_has_the_same_id(log: dict[str, Any]) -> None:
    """On any machine: neither time nor place is in it."""
    assert lineage.of_head(log).id == lineage.of_head(copy.deepcopy(log)).id


@pytest.mark.parametrize("part", ["seed", "data", "settings", "file"])
def test_another_training_has_another_id(log: dict[str, Any], part: str) -> None:
    """Whatever differs."""
    other = copy.deepcopy(log)
    changes = {
        "seed": {"seed": 21},
        "data": {"data": other["data"] | {"sha256": "0" * 64}},
        "settings": {"settings": other["settings"] | {"scale": 9.0}},
        "file": {"file": other["file"] | {"sha256": "1" * 64}},
    }
    assert lineage.of_head(other | changes[part]).id != lineage.of_head(log).id


def test_a_training_is_found_by_its_record(log: dict[str, Any], tmp_path: Path) -> None:
    """Which lies beside the head as well."""
    made = lineage.of_head(log)
    beside = lineage.register(tmp_path / "sentiment.safetensors", made)
    assert json.loads(beside.read_text())["id"] == made.id
    assert beside.name == "sentiment.lineage.json"
    (kept,) = lineage.registered()
    assert (kept.lineage, kept.path) == (made, str(tmp_path / "sentiment.safetensors"))


def test_registering_again_changes_nothing(log: dict[str, Any], tmp_path: Path) -> None:
    """The record is named after its content."""
    for _ in range(2):
        lineage.register(tmp_path / "sentiment.safetensors", lineage.of_head(log))
    assert len(lineage.registered()) == 1


def test_a_record_that_was_changed_is_refused(log: dict[str, Any], tmp_path: Path) -> None:
    """It would claim another training than it is named after."""
    lineage.register(tmp_path / "sentiment.safetensors", lineage.of_head(log))
    (path,) = lineage.registry().glob("*.json")
    path.write_text(path.read_text().replace('"seed": 20', '"seed": 21'))
    with pytest.raises(lineage.LineageBroken, match="not the one it is named after"):
        lineage.registered()


def test_a_record_that_was_cut_off_is_refused(log: dict[str, Any], tmp_path: Path) -> None:
    """With the file, and what to do."""
    lineage.register(tmp_path / "sentiment.safetensors", lineage.of_head(log))
    (path,) = lineage.registry().glob("*.json")
    path.write_text("{")
    with pytest.raises(lineage.LineageBroken, match=f"{path.name}.*train again"):
        lineage.registered()
