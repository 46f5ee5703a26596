"""The engine's parameters, from the configuration.

Its defaults are those of a desktop: up to 8 GiB of remembered prompts, a context that shrinks in silence where memory
is short, a web page.  They are off here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xllamacpp
from xllamacpp import ggml_type, llama_flash_attn_type

from waypost.config import Llama

KV_TYPES = {
    "f16": ggml_type.GGML_TYPE_F16,
    "bf16": ggml_type.GGML_TYPE_BF16,
    "f32": ggml_type.GGML_TYPE_F32,
    "q8_0": ggml_type.GGML_TYPE_Q8_0,
}
FLASH_ATTENTION = {
    "auto": llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "on": llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}


def settings(path: Path, llama: Llama, slots: int, threads: int, secret: str) -> Any:
    """Parameters of a server whose HTTP side answers only those who know `secret`."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_parallel = slots
    parameters.n_ctx = slots * llama.context
    parameters.fit_params = False
    parameters.cache_ram_mib = 0
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    # A step reads so much of the prompts, after which it calls back.
    parameters.n_batch = parameters.n_ubatch = max(llama.prompt_chunk, slots)
    parameters.flash_attn_type = FLASH_ATTENTION[llama.flash_attention]
    if llama.kv_type != "auto":
        parameters.cache_type_k = parameters.cache_type_v = KV_TYPES[llama.kv_type]
    _quiet(parameters, secret)
    return parameters


def _quiet(parameters: Any, secret: str) -> None:
    """It always listens: on the loopback, for counting only."""
    parameters.hostnames, parameters.port, parameters.api_keys = ["127.0.0.1"], 0, [secret]
    parameters.ui = parameters.endpoint_slots = parameters.endpoint_metrics = False
    parameters.n_threads_http = 2
    parameters.verbosity = -1
