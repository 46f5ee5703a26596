"""Measures which settings are fastest on this machine, for the model at hand, when it is first served here.

Which are the best depends on the processor: flash attention is a gain on one and a loss of half on the next, and so is
a KV cache of bf16.  Each candidate reads a text and then writes for several sequences at once, on random tokens; they
take turns, and the medians count.  It takes a few seconds, and what was found is kept beside the prepared file.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
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
from waypost import config, cpus

log = structlog.get_logger()

SEQUENCES = 4
CONTEXT = 512
CHUNK = 64
SHORT, LONG = 64, 256
"""Tokens in each sequence: weights do not care, and attention costs nothing at the beginning of a text."""
ROUNDS = 5
NOISE, WORTH = 1.05, 1.25
"""Weights, and attention, are taken over those named before them only where they are so many times as fast.  With flash
attention answers depend on how prompts were cut into chunks, and chunks of fewer than 64 tokens take several times as
long."""
ATTENTION: tuple[tuple[KvType, bool], ...] = (("f16", False), ("f16", True), ("bf16", False))
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
    figures = _figures(first, files, SHORT) if len(first) > 1 else {}
    chosen = _fastest(first, figures, NOISE)
    others = [each for each in candidates if each.weights == chosen.weights]
    if len(others) > 1:
        figures |= _figures(others, files, LONG)
        chosen = _fastest(others, figures, WORTH)
    record = _keep(prepared, candidates, chosen, figures)
    _tell(prepared.source.name, record, chosen, figures)
    return chosen


def _fastest(candidates: Sequence[Settings], figures: Mapping[Settings, Figures], worth: float) -> Settings:
    if len(candidates) == 1:
        return candidates[0]
    least = min(figures[each].request_s for each in candidates)
    return next(each for each in candidates if figures[each].request_s <= least * worth)


def _figures(candidates: Sequence[Settings], files: Mapping[Weights, Path], depth: int) -> dict[Settings, Figures]:
    with ExitStack() as opened:
        trials = [_Trial(model) for _, model in _opened(candidates, files, opened)]
        reads = [[trial.read(begin) for trial in trials] for begin in range(0, depth, CHUNK)]
        for trial in trials:
            trial.spread()
        steps = [[trial.step(depth + i) for trial in trials] for i in range(ROUNDS)]
    seconds = zip(candidates, zip(*reads, strict=True), zip(*steps, strict=True), strict=True)
    return {each: Figures(statistics.median(read) / CHUNK, statistics.median(step)) for each, read, step in seconds}


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


class _Trial:
    """A model with one text, then the same in every sequence."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._batch = Batch(CHUNK)
        self._random = np.random.default_rng(0)
        # Neighbours on the machine take wall time from whoever has his turn, but no CPU time.
        self._clock = time.perf_counter if api().llama_supports_gpu_offload() else time.process_time

    def read(self, begin: int) -> float:
        """Seconds of a piece of the text."""
        rows = np.arange(CHUNK)
        return self._compute(rows * 0, begin + rows, rows == CHUNK - 1)

    def spread(self) -> None:
        """Gives every sequence what the first one has."""
        for slot in range(1, SEQUENCES):
            api().llama_memory_seq_cp(self._model.memory, 0, slot, -1, -1)

    def step(self, position: int) -> float:
        """Seconds of one more token in every sequence."""
        every = np.arange(SEQUENCES)
        return self._compute(every, np.full(SEQUENCES, position), every >= 0)

    def _compute(self, slots: NDArray[Any], positions: NDArray[Any], logits: NDArray[np.bool_]) -> float:
        rows, batch = len(slots), self._batch
        batch.tokens[:rows] = self._random.integers(0, self._model.vocab_size, rows)
        batch.slots[:rows], batch.positions[:rows], batch.logits[:rows] = slots, positions, logits
        began = self._clock()
        if api().llama_decode(self._model.ctx, batch.of(rows)):
            raise ModelUnusable(f"{self._model.path} cannot be computed with {self._model.settings}")
        api().llama_synchronize(self._model.ctx)
        return (self._clock() - began) / (1 if self._clock is time.perf_counter else self._model.settings.threads)


def _tell(model: str, record: Path, chosen: Settings, figures: Mapping[Settings, Figures]) -> None:
    for each, figure in figures.items():
        requests = f"{1 / figure.request_s:.2f}"
        prompt, step = f"{figure.prompt_s * 1000:.2f}", f"{figure.step_s * 1000:.1f}"
        log.info("tried", settings=str(each), requests_per_s=requests, prompt_token_ms=prompt, step_ms=step)
    log.info("calibrated", model=model, chosen=str(chosen), kept=str(record))


def _known(prepared: weights.Prepared, candidates: list[Settings]) -> Settings | None:
    """What was found before, of the same file, candidates and machine."""
    record = _record(prepared, candidates)
    return Settings(**json.loads(record.read_text())["chosen"]) if record.exists() else None


def _keep(
    prepared: weights.Prepared, candidates: list[Settings], chosen: Settings, figures: Mapping[Settings, Figures]
) -> Path:
    tried = [{"settings": asdict(each), "figures": asdict(figure)} for each, figure in figures.items()]
    said = {"of": _key(prepared, candidates), "chosen": asdict(chosen), "tried": tried}
    record = _record(prepared, candidates)
    record.write_text(json.dumps(said, indent=2))
    return record


def _key(prepared: weights.Prepared, candidates: list[Settings]) -> dict[str, Any]:
    """What a choice depends on."""
    machine = {"processor": cpus.processor(), "cores": cpus.available(), library.PACKAGE: library.version()}
    return machine | {
        "worth": [NOISE, WORTH],
        "file": prepared.identity,
        "candidates": [asdict(each) for each in candidates],
    }


def _record(prepared: weights.Prepared, candidates: list[Settings]) -> Path:
    """One for each choice: a process that has fewer cores for once does not make another one measure again."""
    key = json.dumps(_key(prepared, candidates), sort_keys=True)
    return prepared.folder / f"settings-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
