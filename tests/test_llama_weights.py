"""Requantised weights: made once, again when the file changes."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from services.backend import ModelUnusable
from services.llama import weights
from services.llama.model import Model
from services.llama.settings import Settings


@pytest.fixture
def source(tmp_path: Path, smollm2: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The embedded generator, and a home of the test's own."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path / "home"))
    return Path(shutil.copy(smollm2, tmp_path / "model.gguf"))


def test_a_file_is_requantised_once(source: Path, tmp_path: Path) -> None:
    """Told only then; changed, it is made again."""
    told: list[str] = []
    made = weights.prepare(source, "q8_0", told.append)
    first = made.stat().st_mtime_ns
    assert weights.prepare(source, "q8_0", told.append) == made
    assert made.stat().st_mtime_ns == first and told == ["requantising model.gguf to Q8_0, once"]
    assert made.is_relative_to(tmp_path / "home" / "prepared")
    os.utime(source, ns=(1, 1))
    weights.prepare(source, "q8_0", told.append)
    assert len(told) == 2 and made.stat().st_mtime_ns > first


def test_what_was_made_is_a_model_of_the_same_words(source: Path, llama: Model) -> None:
    """In the type that was asked for."""
    made = weights.prepare(source, "q8_0")
    with closing(Model(made, Settings(), 1, 64)) as model:
        assert model.metadata["general.file_type"] == "7"
        assert model.pieces() == llama.pieces() and model.template == llama.template


def test_a_half_made_file_is_made_again(source: Path) -> None:
    """As after a crash or a full disk."""
    made = weights.prepare(source, "q8_0")
    whole = made.stat().st_size
    made.write_bytes(made.read_bytes()[:1000])
    assert weights.prepare(source, "q8_0").stat().st_size == whole


def test_as_it_came_is_the_file_itself(source: Path, tmp_path: Path) -> None:
    """Nothing is written."""
    assert weights.prepare(source, "as_is") == source
    assert not (tmp_path / "home").exists()


def test_a_broken_file_cannot_be_requantised(source: Path) -> None:
    """It says what else to try, and leaves nothing behind."""
    source.write_bytes(source.read_bytes()[:50_000_000])
    with pytest.raises(ModelUnusable, match=f'{source} cannot be requantised, try weights = "as_is": '):
        weights.prepare(source, "q8_0")
    assert not [path for path in weights.Prepared.of(source).folder.iterdir() if path.suffix in (".gguf", ".part")]
