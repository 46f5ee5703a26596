"""A GGUF file, open: weights, vocabulary, and one context whose sequences are the slots."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.backend import ModelUnusable
from services.llama import library
from services.llama.library import api
from services.llama.settings import GGML_TYPES, Settings

Tokens = NDArray[np.int32]

MAGIC = b"GGUF"
MAX_SLOTS = 256
"""Sequences that llama.cpp was compiled for."""
PADDING = 256
"""llama.cpp rounds the context of a sequence up to a multiple of this."""
BYTES_OF_ONE_TOKEN = 256


class Model:
    """Weights and a context; for one thread at a time, except `tokenize`.

    Attributes:
        handle: `llama_model *`.
        vocabulary: `llama_vocab *`.
        ctx: `llama_context *`.
        memory: `llama_memory_t`, the KV cache.
        slots: its sequences, 0 to slots - 1.
        context: tokens of one sequence.
        outputs: rows of logits that a step may ask for; llama.cpp aborts beyond it.
        metadata: of the file, without its lists.
    """

    def __init__(self, path: Path, settings: Settings, slots: int, context: int, like: Model | None = None) -> None:
        """Loads the file, or shares the weights of a model that is open for longer.

        Raises:
            ModelUnusable: it is not a model of text that llama.cpp can load, or memory does not suffice.
        """
        check_file(path)
        if slots > MAX_SLOTS:
            raise ModelUnusable(f"{path}: slots = {slots}, llama.cpp has at most {MAX_SLOTS}")
        self.path, self.settings, self.slots, self.outputs = path, settings, slots, slots
        self._owns = like is None
        self.handle: Any = like.handle if like else _loaded(path)
        self.vocabulary = api().llama_model_get_vocab(self.handle)
        self.vocab_size: int = api().llama_vocab_n_tokens(self.vocabulary)
        self.context = min(context, api().llama_model_n_ctx_train(self.handle))
        self.ctx: Any = None
        try:
            _check_kind(path, self.handle)
            self.ctx = _context(self)
        except ModelUnusable:
            self.close()
            raise
        self.memory = api().llama_get_memory(self.ctx)

    def close(self) -> None:
        """Frees everything; the object is of no use afterwards."""
        if self.ctx:
            api().llama_free(self.ctx)
        if self.handle and self._owns:
            api().llama_model_free(self.handle)
        self.ctx = self.handle = None

    @cached_property
    def metadata(self) -> dict[str, str]:
        """What the file says of itself."""
        functions, model = api(), self.handle
        keys, values = functions.llama_model_meta_key_by_index, functions.llama_model_meta_val_str_by_index
        count = functions.llama_model_meta_count(model)
        return {library.text_of(keys, model, i): library.text_of(values, model, i) for i in range(count)}

    @property
    def template(self) -> str | None:
        """The chat template in the file; None where there is none."""
        found = api().llama_model_chat_template(self.handle, None)
        return found.decode() if found else None

    @property
    def can_share_prefix(self) -> bool:
        """Whether a sequence may go on from any place in another's KV: not where the past is folded into a state, nor
        where it slides out of a window."""
        functions, model = api(), self.handle
        folded = functions.llama_model_is_recurrent(model) or functions.llama_model_is_hybrid(model)
        return not folded and functions.llama_model_n_swa(model) == 0

    @property
    def add_bos(self) -> bool:
        """Whether a prompt begins with the model's BOS."""
        return bool(api().llama_vocab_get_add_bos(self.vocabulary)) and self.bos >= 0

    @property
    def bos(self) -> int:
        """The token that begins a text; -1: none."""
        return int(api().llama_vocab_bos(self.vocabulary))

    @property
    def bos_text(self) -> str:
        """As chat templates write it."""
        return self._text(self.bos)

    @property
    def eos_text(self) -> str:
        """The token that ends a text, as chat templates write it."""
        return self._text(int(api().llama_vocab_eos(self.vocabulary)))

    @cached_property
    def control_texts(self) -> list[str]:
        """Tokens that steer the model, as they look in a template."""
        return [self._text(token) for token in self._where("llama_vocab_is_control")]

    def end_tokens(self) -> list[int]:
        """All tokens that end an answer."""
        return self._where("llama_vocab_is_eog")

    @cached_property
    def _pieces(self) -> list[bytes]:
        return [self._piece(token) for token in range(self.vocab_size)]

    def pieces(self) -> list[bytes]:
        """The bytes of every token; b"" of those that steer."""
        return self._pieces

    def tokenize(self, text: str, *, special: bool, bos: bool = False) -> Tokens:
        """Tokens of a text; `special`: whether "<|im_end|>" and the like are tokens or letters; `bos`: whether the
        model's BOS goes first, if it has one."""
        raw = text.encode(errors="replace")
        first = [self.bos] if bos and self.add_bos else []
        room = len(raw) + 2
        tokens = np.empty(room, np.int32)
        pointer = tokens.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))
        found = api().llama_tokenize(self.vocabulary, raw, len(raw), pointer, room, False, special)
        return np.concatenate([np.array(first, np.int32), tokens[: max(0, found)]])

    def untokenize(self, tokens: Sequence[int] | Tokens) -> bytes:
        """The bytes of tokens."""
        return b"".join(self._pieces[token] for token in tokens)

    def _text(self, token: int) -> str:
        known = 0 <= token < self.vocab_size
        return api().llama_vocab_get_text(self.vocabulary, token).decode(errors="replace") if known else ""

    def _where(self, name: str) -> list[int]:
        function = getattr(api(), name)
        return [token for token in range(self.vocab_size) if function(self.vocabulary, token)]

    def _piece(self, token: int) -> bytes:
        """Of a token that is longer than any that is known, its beginning would be too much as well: b""."""
        buffer = ctypes.create_string_buffer(BYTES_OF_ONE_TOKEN)
        size = api().llama_token_to_piece(self.vocabulary, token, buffer, len(buffer), 0, False)
        return buffer.raw[: max(0, size)]


def check_file(path: Path) -> None:
    """Looks at the file's beginning, for a better message than llama.cpp's.

    Raises:
        ModelUnusable: it is not there, or not GGUF.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise ModelUnusable(f"{path} cannot be read: {error.strerror}") from None
    if head[:4] != MAGIC:
        raise ModelUnusable(f"{path} is not a GGUF file: it begins with {head!r}; fetch it again")


def _loaded(path: Path) -> Any:
    with library.hearing() as said:
        model = api().llama_model_load_from_file(str(path).encode(), api().llama_model_default_params())
    if not model:
        raise ModelUnusable(f"{path} cannot be loaded, fetch it again: {_why(said)}")
    return model


def _check_kind(path: Path, model: Any) -> None:
    functions = api()
    if functions.llama_model_has_encoder(model) or not functions.llama_model_has_decoder(model):
        raise ModelUnusable(f"{path} is not a model that continues a text; take a decoder-only one")


def _context(of: Model) -> Any:
    with library.hearing() as said:
        context = api().llama_init_from_model(of.handle, _parameters(of))
    if not context:
        raise ModelUnusable(f"{of.path}: no context of {of.slots} x {of.context} tokens, take fewer: {_why(said)}")
    return context


def _parameters(of: Model) -> Any:
    parameters, settings = api().llama_context_default_params(), of.settings
    parameters.n_ctx = -(-of.context // PADDING) * PADDING * of.slots
    parameters.n_seq_max, parameters.kv_unified = of.slots, settings.unified
    parameters.n_batch = max(settings.n_batch, of.slots)
    parameters.n_ubatch = min(settings.n_ubatch, parameters.n_batch)
    parameters.n_outputs_max = of.outputs
    parameters.n_threads = parameters.n_threads_batch = settings.threads
    parameters.type_k = parameters.type_v = GGML_TYPES[settings.kv_type]
    parameters.flash_attn_type = int(settings.flash_attention)
    parameters.no_perf = True
    return parameters


def _why(said: list[str]) -> str:
    """llama.cpp says the cause first, then what failed because of it."""
    return said[0] if said else "llama.cpp does not say why"
