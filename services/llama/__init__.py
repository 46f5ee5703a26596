"""Backend `llama`: GGUF files on llama.cpp, many requests in each step.

library.py     llama.cpp's functions
weights.py     the file, requantised once where that is faster
settings.py    how it is run; calibrate.py measures what is left open
model.py       weights, vocabulary, context
chat.py        the model's template; tools.py, functions it may call
gbnf.py, schema.py, grammar.py   answers that must fit
adapters.py    LoRA
prompt.py      a request, read
engine.py      the loop
"""

from __future__ import annotations

from pathlib import Path

from services.backend import Generator
from services.llama import calibrate, weights
from services.llama.adapters import Adapters
from services.llama.chat import Chat
from services.llama.engine import Engine
from services.llama.grammar import Grammars
from services.llama.model import Model
from services.llama.prompt import Parts
from services.llama.settings import Settings
from waypost import catalogue, config

STEP = 512
"""Most tokens of a step; a longer prompt is read in several."""


def load(model: config.Model, sessions: int) -> Generator:
    """See `services.backend.Backend`."""
    source, facts = catalogue.gguf(model.source or model.name)
    options = model.llama or config.Llama()
    n_batch = max(STEP, model.generate.slots, 2 * options.prompt_chunk)
    settings = calibrate.settled(options, source, sessions, n_batch=n_batch)
    parts = opened(model, source, settings)
    engine = Engine(parts, options.prompt_chunk, options.max_token_gap_s)
    return Generator(
        version=facts.version,
        context=parts.model.context,
        slots=parts.model.slots,
        answer=engine.answer,
        tags=facts.tags or ("general", "generate", "chat"),
        adapters=parts.adapters.names,
    )


def opened(model: config.Model, source: Path, settings: Settings) -> Parts:
    """The parts of a model, loaded.

    Raises:
        services.backend.ModelUnusable: a file is broken, or does not fit.
    """
    options = model.llama or config.Llama()
    file = weights.prepare(source, settings.weights, calibrate.told)
    loaded = Model(file, settings, model.generate.slots, options.context)
    adapters = {name: Path(path) for name, path in options.adapters.items()}
    return Parts(
        model=loaded,
        chat=Chat(loaded.template, bos=loaded.bos_text, eos=loaded.eos_text, control=loaded.control_texts),
        grammars=Grammars(loaded),
        adapters=Adapters(loaded, adapters),
        max_tokens=model.generate.max_tokens,
    )
