"""LoRA adapters: another way to speak while they are in, none afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.backend import ModelUnusable
from services.llama.adapters import Adapters
from services.llama.model import Model
from services.llama.settings import Settings
from services.refusal import AdapterNotFound
from tests.llama_files import greedy, lora

pytest.importorskip("gguf", reason="NOT RUN: gguf is not installed: pip install --group llama")
TEXT = "Once upon a time"


@pytest.fixture
def apart(smollm2: Path, llama: Model) -> Iterator[Model]:
    """A context of its own, as adapters are of a context."""
    with closing(Model(smollm2, Settings(threads=1), 1, 256, like=llama)) as model:
        yield model


def test_an_adapter_changes_what_is_said_until_it_is_taken_out(apart: Model, tmp_path: Path) -> None:
    """Two of them differ; without one the model is itself again, to the token."""
    files = {name: lora(tmp_path / f"{name}.gguf", seed=seed) for seed, name in enumerate(("one", "two"))}
    adapters = Adapters(apart, files)
    said = []
    for name in ("", "one", "two", "one", ""):
        index = adapters.index(name)
        adapters.apply(None if index < 0 else index)
        said.append(greedy(apart, TEXT, 6))
    assert said[0] == said[4] and said[1] == said[3]
    assert said[0] != said[1] != said[2] != said[0]


def test_an_adapter_of_another_name_is_not_found(apart: Model, tmp_path: Path) -> None:
    """The message lists those that are."""
    adapters = Adapters(apart, {"one": lora(tmp_path / "one.gguf")})
    assert (adapters.names, adapters.index("one"), adapters.index("")) == (("one",), 0, -1)
    with pytest.raises(AdapterNotFound) as refused:
        adapters.index("three")
    assert (refused.value.adapter, refused.value.known) == ("three", "one")


def test_files_that_are_no_adapters_of_the_model_are_refused(apart: Model, smollm2: Path, tmp_path: Path) -> None:
    """Broken, a model, of another architecture, of other shapes."""
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(lora(tmp_path / "whole.gguf").read_bytes()[:400])
    wrong = {
        cut: "corrupted or incomplete",
        smollm2: "general.type",
        lora(tmp_path / "qwen.gguf", architecture="qwen2"): "arch mismatch",
        lora(tmp_path / "wide.gguf", inputs=64): "incorrect shape",
    }
    for path, message in wrong.items():
        with pytest.raises(ModelUnusable, match=f"adapter 'a': {path} is no LoRA adapter .*{message}"):
            Adapters(apart, {"a": path})
