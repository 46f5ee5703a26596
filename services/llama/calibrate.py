"""Measures which settings are fastest on this machine, for the model at hand, when it is first served here.

Which are the best depends on the processor: flash attention is a gain on one and a loss of half on the next, and so is
a KV cache of bf16.  Each candidate reads a prompt and then decodes for several sequences at once, on random tokens;
they take turns, and the medians count.  It takes a few seconds, and what was found is kept beside the prepared file.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, astuple, dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from services.backend import ModelUnusable
from services.llama import library, weights
from services.llama.engine import Batch
from services.llama.library import api
from services.llama.model import Model
from services.llama.settings import KvType, Settings, Weights
from services.profile import processor_name
from waypost import config, cpus

log = structlog.get_logger()

SEQUENCES = 4
CONTEXT = 512
DEPTH = 192
"""Tokens in each sequence while it is measured: attention costs nothing at the beginning of a text."""
CHUNK = 64
STEPS = 2
ROUNDS = 3
BUDGET_S = 3.0
"""Seconds after which no further round begins."""
NOISE = 1.03
"""A candidate is taken over those named before it only where it is so many times as fast."""
ATTENTION: tuple[tuple[KvType, bool], ...] = (("f16", False), ("f16", True), ("bf16", False), ("f32", False))
"""KV types and flash attention worth a try; a quantised cache changes answers and is never chosen for anybody."""
NEW_TOKENS, PROMPT_TOKENS = 64, 70
"""Of the request that candidates are compared by."""


@dataclass(frozen=True)
class Figures:
    """Seconds of a token of a prompt, and of a step for all sequences."""

    prompt_s: float
    step_s: float

    @property
    def request_s(self) -> float:
        """Of one request among as many as there are sequences."""
        return PROMPT_TOKENS * self.prompt_s + NEW_TOKENS * self.step_s / SEQUENCES


def told(step: str) -> None:
    """Logs what takes a while."""
    log.info("preparing", step=step)


def settled(options: config.Llama, source: Path, cores: int, *, n_batch: int) -> Settings:
    """The settings for a file: what the configuration says, and the fastest of what it leaves open.

    Raises:
        ModelUnusable: the file is broken.
    """
    threads = options.threads or cores
    base = Settings(threads=threads, unified=options.kv_layout == "unified", n_batch=n_batch)
    candidates = [
        replace(base, weights=kind, kv_type=kv, flash_attention=flash)
        for kind in _weights(options, source)
        for kv, flash in _attention(options)
    ]
    if len(candidates) == 1:
        return candidates[0]
    prepared = weights.Prepared.of(source)
    with prepared.lock("measure"):
        return _known(prepared, candidates) or _measured(prepared, candidates)


def _weights(options: config.Llama, source: Path) -> Sequence[Weights]:
    if options.weights != "auto":
        return [options.weights]
    return ["as_is", "q8_0"] if weights.is_small(source) else ["as_is"]


def _attention(options: config.Llama) -> list[tuple[KvType, bool]]:
    """What the configuration allows; llama.cpp keeps a quantised cache of values with flash attention only."""
    kinds = ATTENTION if options.kv_type == "auto" else [(options.kv_type, False), (options.kv_type, True)]
    found = [each for each in kinds if options.flash_attention in ("auto", "on" if each[1] else "off")]
    found = [each for each in found if each[0] != "q8_0" or each[1]]
    if not found:
        raise ModelUnusable('kv_type = "q8_0" needs flash_attention = "on" or "auto"')
    return found


def _measured(prepared: weights.Prepared, candidates: list[Settings]) -> Settings:
    """Weights first, then attention with the better ones: their effects hardly depend on each other."""
    kinds = dict.fromkeys(each.weights for each in candidates)
    files = {kind: weights.prepare(prepared.source, kind, told) for kind in kinds}
    log.info("calibrating", model=prepared.source.name, candidates=len(candidates))
    first = [next(each for each in candidates if each.weights == kind) for kind in files]
    figures = _figures(first, files) if len(first) > 1 else {}
    chosen = _fastest(first, figures)
    others = [each for each in candidates if each.weights == chosen.weights]
    if len(others) > 1:
        figures |= _figures(others, files)
        chosen = _fastest(others, figures)
    _keep(prepared, candidates, chosen, figures)
    _tell(prepared, chosen, figures)
    return chosen


def _fastest(candidates: Sequence[Settings], figures: Mapping[Settings, Figures]) -> Settings:
    if len(candidates) == 1:
        return candidates[0]
    least = min(figures[each].request_s for each in candidates)
    return next(each for each in candidates if figures[each].request_s <= least * NOISE)


def _figures(candidates: Sequence[Settings], files: Mapping[Weights, Path]) -> dict[Settings, Figures]:
    with ExitStack() as opened:
        trials = {each: _Trial(model) for each, model in _opened(candidates, files, opened)}
        rounds = [{each: trial.round() for each, trial in trials.items()} for _ in _rounds()]
    return {each: _median([row[each] for row in rounds]) for each in candidates}


def _rounds() -> Iterator[int]:
    began = time.perf_counter()
    return takewhile(lambda done: not done or time.perf_counter() - began < BUDGET_S, range(ROUNDS))


def _opened(
    candidates: Sequence[Settings], files: Mapping[Weights, Path], opened: ExitStack
) -> Iterator[tuple[Settings, Model]]:
    """Those of the same file share its weights."""
    first: dict[Weights, Model] = {}
    for each in candidates:
        apart = replace(each, unified=False)
        model = Model(files[each.weights], apart, SEQUENCES, CONTEXT, first.get(each.weights))
        first.setdefault(each.weights, opened.enter_context(closing(model)))
        yield each, model


def _median(figures: Sequence[Figures]) -> Figures:
    return Figures(*(statistics.median(column) for column in zip(*map(astuple, figures), strict=True)))


class _Trial:
    """A model with a text in every sequence."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._batch = Batch(CHUNK)
        self._random = np.random.default_rng(0)
        for begin in range(0, DEPTH, CHUNK):
            self._read(begin)
        for slot in range(1, SEQUENCES):
            api().llama_memory_seq_cp(model.memory, 0, slot, -1, -1)

    def round(self) -> Figures:
        """Reads the end of the text again, then writes a few tokens and forgets them."""
        api().llama_memory_seq_rm(self._model.memory, 0, DEPTH - CHUNK, -1)
        prompt_s = self._read(DEPTH - CHUNK) / CHUNK
        every = np.arange(SEQUENCES)
        step_s = min(self._compute(every, np.full(SEQUENCES, DEPTH + i), every >= 0) for i in range(STEPS))
        for slot in range(SEQUENCES):
            api().llama_memory_seq_rm(self._model.memory, slot, DEPTH, -1)
        return Figures(prompt_s, step_s)

    def _read(self, begin: int) -> float:
        rows = np.arange(CHUNK)
        return self._compute(rows * 0, begin + rows, rows == CHUNK - 1)

    def _compute(self, slots: NDArray[Any], positions: NDArray[Any], logits: NDArray[np.bool_]) -> float:
        rows, batch = len(slots), self._batch
        batch.tokens[:rows] = self._random.integers(0, self._model.vocab_size, rows)
        batch.slots[:rows], batch.positions[:rows], batch.logits[:rows] = slots, positions, logits
        began = time.perf_counter()
        if api().llama_decode(self._model.ctx, batch.of(rows)):
            raise ModelUnusable(f"{self._model.path} cannot be computed with {self._model.settings}")
        api().llama_synchronize(self._model.ctx)
        return time.perf_counter() - began


def _tell(prepared: weights.Prepared, chosen: Settings, figures: Mapping[Settings, Figures]) -> None:
    for each, figure in figures.items():
        requests = f"{1 / figure.request_s:.2f}"
        prompt, step = f"{figure.prompt_s * 1000:.2f}", f"{figure.step_s * 1000:.1f}"
        log.info("tried", settings=str(each), requests_per_s=requests, prompt_token_ms=prompt, step_ms=step)
    log.info("calibrated", model=prepared.source.name, chosen=str(chosen), kept=str(_record(prepared)))


def _known(prepared: weights.Prepared, candidates: list[Settings]) -> Settings | None:
    """What was found before, of the same file, candidates and machine."""
    record = _record(prepared)
    if not record.exists():
        return None
    said = json.loads(record.read_text())
    return Settings(**said["chosen"]) if said["of"] == _key(prepared, candidates) else None


def _keep(
    prepared: weights.Prepared, candidates: list[Settings], chosen: Settings, figures: Mapping[Settings, Figures]
) -> None:
    tried = [{"settings": asdict(each), "figures": asdict(figure)} for each, figure in figures.items()]
    said = {"of": _key(prepared, candidates), "chosen": asdict(chosen), "tried": tried}
    _record(prepared).write_text(json.dumps(said, indent=2))


def _key(prepared: weights.Prepared, candidates: list[Settings]) -> dict[str, Any]:
    """What a choice depends on."""
    machine = {"processor": processor_name(), "cores": cpus.available(), library.PACKAGE: library.version()}
    return machine | {"file": prepared.identity, "candidates": [asdict(each) for each in candidates]}


def _record(prepared: weights.Prepared) -> Path:
    return prepared.folder / "settings.json"
