"""Backend `xllama`: llama-server's own engine in this process, from prebuilt wheels: generation without a compiler.

`llama` is faster and does more: adapters, log probabilities, truncation, answers that do not depend on the neighbours.
This runs where `llama-cpp-python` cannot be built.  A broken file may make the engine abort, and with it the process.
"""

from __future__ import annotations

import secrets
from typing import Any

import xllamacpp

from services.backend import Generator, ModelUnusable
from services.openai_wire.ask import Endpoint
from services.xllama.counting import Counter
from services.xllama.desk import Desk
from services.xllama.settings import settings
from waypost import catalogue
from waypost.config import Llama, Model


def load(model: Model, sessions: int) -> Generator:
    """See `services.backend.Backend`."""
    path, facts = catalogue.gguf(model.source or model.name)
    llama, slots, secret = model.llama or Llama(), model.generate.slots, secrets.token_urlsafe()
    server = _started(settings(path, llama, slots, llama.threads or sessions, secret), str(path))
    endpoint = Endpoint(model.name, model.generate.max_tokens, own=OWN)
    return Generator(
        version=facts.version,
        context=llama.context,
        slots=slots,
        answer=Desk(server, Counter(server.listening_address, secret), endpoint, slots).serve,
        tags=facts.tags or ("general", "generate", "chat"),
    )


OWN = {"grammar": "grammar", "sampling.penalty_tokens": "repeat_last_n"}
"""What llama-server takes beyond the format, see `services.openai_wire.ask.BEYOND`."""


def _started(parameters: Any, path: str) -> Any:
    try:
        return xllamacpp.Server(parameters)
    except RuntimeError as error:
        raise ModelUnusable(f"{path} cannot be loaded by xllamacpp {xllamacpp.__version__}: {error}") from None
