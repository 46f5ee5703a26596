"""Generators of the catalogue, and the one file that each of them is."""

from __future__ import annotations

from pathlib import Path

import pytest

from services import onnx
from waypost import catalogue
from waypost.catalogue import Entry, Facts

WEIGHTS = b"GGUF\x03weights"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A file that begins as GGUF does."""
    path = tmp_path / "models" / "tiny chat.Q8_0.gguf"
    path.parent.mkdir()
    path.write_bytes(WEIGHTS)
    return path


def test_the_embedded_generators_are_pinned_to_the_byte() -> None:
    """One file each, by size and sum; none makes vectors."""
    generators = [entry for entry in catalogue.entries().values() if entry.kind == "generator"]
    assert {"smollm2-135m-instruct", "llama-3.2-1b-instruct"} <= {entry.name for entry in generators}
    for entry in generators:
        (file,) = entry.files
        assert file.name.endswith(".gguf") and file.bytes and file.sha256
        assert entry.max_tokens >= 8192 and entry.dimensions == 0


def test_an_entry_that_was_pulled_gives_its_file(home: Path, model: Path) -> None:
    """With the facts of the catalogue; before, it says how to have it."""
    home.mkdir()
    (home / "catalogue.toml").write_text(
        '[[models]]\nname = "tiny"\nkind = "generator"\nmax_tokens = 512\n'
        f'files = [{{ name = "{model.name}" }}]\n'
        f'[[models.sources]]\nkind = "folder"\npath = "{model.parent}"\n'
    )
    with pytest.raises(catalogue.NotPulled, match="`waypost pull tiny` fetches it"):
        catalogue.gguf("tiny")
    catalogue.pull(catalogue.find("tiny"))
    path, facts = catalogue.gguf("tiny")
    assert path.read_bytes() == WEIGHTS
    assert (facts.name, facts.max_tokens) == ("tiny", 512)


def test_a_file_is_named_after_itself(model: Path) -> None:
    """What a name cannot have becomes a dash; the context is only in the file."""
    path, facts = catalogue.gguf(str(model))
    assert path == model
    assert (facts.name, facts.kind, facts.max_tokens) == ("tiny-chat.Q8_0", "generator", 0)


def test_a_folder_gives_its_only_file(model: Path) -> None:
    """With the facts that stand beside it."""
    (model.parent / "model.toml").write_text('name = "mine"\nversion = "3"\n')
    path, facts = catalogue.gguf(str(model.parent))
    assert path == model
    assert (facts.name, facts.version, facts.kind) == ("mine", "3", "generator")


def test_a_folder_with_several_files_does_not_say_which(model: Path) -> None:
    """Nor does one without any."""
    (model.parent / "other.gguf").write_bytes(WEIGHTS)
    with pytest.raises(catalogue.NotGguf, match=r"has 2 \.gguf files: name one of them"):
        catalogue.gguf(str(model.parent))
    with pytest.raises(catalogue.NotGguf, match=r"has no \.gguf file"):
        catalogue.gguf(str(model.parent.parent))


def test_what_is_no_generator_is_refused(tmp_path: Path) -> None:
    """An encoder, a page of text, a file that is not there, a name nobody knows."""
    (tmp_path / "page.gguf").write_text("<html>")
    with pytest.raises(catalogue.OtherKind, match='encoder: use backend = "onnx"'):
        catalogue.gguf("all-minilm-l6-v2")
    with pytest.raises(catalogue.NotGguf, match="no GGUF file: it begins with b'<htm'"):
        catalogue.gguf(str(tmp_path / "page.gguf"))
    with pytest.raises(catalogue.CatalogueError, match=r"none\.gguf cannot be read: No such file"):
        catalogue.gguf(str(tmp_path / "none.gguf"))
    with pytest.raises(catalogue.UnknownModel, match="did you mean 'smollm2-135m-instruct'"):
        catalogue.gguf("smollm2-135m")


@pytest.mark.parametrize("place", ["entry", "file", "folder"])
def test_the_onnx_backend_refuses_generators(model: Path, place: str) -> None:
    """With the backend that runs them."""
    source = {"entry": "smollm2-135m-instruct", "file": str(model), "folder": str(model.parent)}[place]
    with pytest.raises(catalogue.CatalogueError, match='of the kind generator: use backend = "llama"'):
        onnx.located(source)


def test_facts_of_a_generator_need_neither_tokens_nor_dimensions() -> None:
    """Those of an encoder do."""
    assert Facts(name="chat", kind="generator").dimensions == 0
    with pytest.raises(ValueError, match="max_tokens must be at least 8"):
        Entry.model_validate(
            {"name": "tiny", "max_tokens": 0, "files": [{"name": "x"}], "sources": [{"kind": "folder", "path": "x"}]}
        )
