"""Backend `remote`: a model behind any OpenAI-compatible endpoint, as a worker like any other.

vLLM, Ollama, DeepSeek, OpenAI and Claude's compatible endpoint speak the format; `waypost.config.Remote` says where and
as whom.  Answers are always streamed; a failed attempt is tried again only while nothing of its answer has been passed
on.  Tokens are counted by the provider alone: CountTokens is refused.
"""

from __future__ import annotations

from functools import partial

from services.backend import Generator, ModelUnusable
from services.remote.desk import serve
from services.remote.key import Key
from waypost.config import Model


def load(model: Model, sessions: int) -> Generator:
    """See `services.backend.Backend`.  The endpoint is not called: it may be away now and back later."""
    if model.remote is None:
        raise ModelUnusable(f"model {model.name!r}: [workers.models.remote] is missing")
    return Generator(
        version=model.remote.model,
        context=model.remote.context,
        slots=model.generate.slots,
        answer=partial(serve, model, Key.of(model.remote)),
        tags=("general", "generate", "chat", "remote"),
    )
