"""A GGUF file, open; and the files that are none."""

from __future__ import annotations

import importlib
import importlib.util
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from services.backend import ModelUnusable
from services.llama import library
from services.llama.model import Model
from services.llama.settings import Settings
from tests.llama_files import greedy

TEXTS = ("Hello, world!", "Grüße aus Köln", "日本語のテキスト 🙂", "def f(x):\n\treturn x  # two  spaces\n", " leading")


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_of_a_texts_tokens_are_its_bytes(llama: Model, text: str) -> None:
    """Characters of several tokens included."""
    tokens = llama.tokenize(text, special=False)
    assert tokens.dtype == np.int32
    assert llama.untokenize(tokens) == text.encode()


def test_control_tokens_are_such_only_where_they_may_be(llama: Model) -> None:
    """Letters otherwise; they have no bytes of their own."""
    (end,) = llama.tokenize("<|im_end|>", special=True)
    assert end in llama.end_tokens() and llama.pieces()[end] == b""
    assert llama.untokenize(llama.tokenize("<|im_end|>", special=False)) == b"<|im_end|>"
    assert "<|im_start|>" in llama.control_texts


def test_the_model_says_what_it_is(llama: Model) -> None:
    """From the file."""
    assert llama.metadata["general.architecture"] == "llama"
    assert llama.template and "<|im_start|>" in llama.template
    assert (llama.bos_text, llama.eos_text) == ("<|im_start|>", "<|im_end|>")
    assert not llama.add_bos and llama.can_share_prefix
    assert len(llama.pieces()) == llama.vocab_size == 49152


def test_a_context_is_at_most_what_the_model_was_trained_on(smollm2: Path, llama: Model) -> None:
    """8,192 tokens here; sharing the weights of another costs no second load."""
    with closing(Model(smollm2, Settings(), 1, 100_000, like=llama)) as model:
        assert model.context == 8192
    assert greedy(llama, "The capital of France is", 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is not a GGUF file"),
        (b"version https://git-lfs.github.com/spec/v1", "is not a GGUF file: it begins with b'version https://"),
        (b"GGUF", "cannot be loaded, fetch it again: .*header"),
        (b"GGUF\x03\x00\x00\x00" + b"\xff" * 100, "cannot be loaded, fetch it again"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    """By name, with the reason."""
    pytest.importorskip("llama_cpp")
    path = tmp_path / "model.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelUnusable, match=f"{path}.*{message}"):
        Model(path, Settings(), 1, 64)


@pytest.mark.parametrize("kept", [50_000, 50_000_000])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, smollm2: Path, kept: int) -> None:
    """In its header or in its weights; nothing goes to stderr."""
    path = tmp_path / "cut.gguf"
    with smollm2.open("rb") as file:
        path.write_bytes(file.read(kept))
    with pytest.raises(ModelUnusable, match=f"{path} cannot be loaded, fetch it again: "):
        Model(path, Settings(), 1, 64)


def test_more_slots_than_llama_cpp_has_are_refused(smollm2: Path) -> None:
    """Before anything is loaded."""
    with pytest.raises(ModelUnusable, match=r"slots = 257, llama\.cpp has at most 256"):
        Model(smollm2, Settings(), 257, 64)


def test_without_the_package_the_message_says_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or which backend does without."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelUnusable, match=r"not installed: pip install 'waypost\[llama\]'.*xllama"):
        library.api.__wrapped__()


def test_a_package_that_cannot_be_loaded_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a library that is missing on this machine."""

    def broken(name: str) -> None:
        raise RuntimeError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(ModelUnusable, match=r"install it again: libgomp\.so\.1"):
        library.api.__wrapped__()


def test_what_llama_cpp_says_goes_to_whoever_listens(llama: Model) -> None:
    """Errors only, whole lines, put together from pieces."""
    listener = library._Listener()
    with library.hearing() as said:
        for level, piece in ((2, b"info\n"), (4, b"one "), (5, b"line\ntwo\n"), (3, b"warning\n"), (5, b"more\n")):
            listener(level, piece, None)
    assert said == ["one line", "two"]
