"""A worker's process: Python makes the sessions, Rust serves them.

`serve` is what `waypost worker` runs.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import waypost
from services.backend import Generator, Library, Loaded, ModelUnusable, Run
from services.backends import backend
from waypost import _core, places
from waypost.config import Batching, Model, Telemetry, Worker
from waypost.life import Stop, beside
from waypost.telemetry import follow_level


@dataclass(frozen=True)
class Place:
    """Which of a worker's processes this is, where it listens, and how many texts it runs at once."""

    instance: str
    listen: str | None
    sessions: int

    @property
    def address(self) -> str:
        """Where it listens: by default a Unix socket named after it."""
        return self.listen or f"unix:{places.runtime()}/{self.instance}.sock"


def serve(worker: Worker, place: Place, announce: Callable[[str], None], telemetry: Telemetry | None = None) -> None:
    """Serves until the process is asked to stop; `announce` gets the address once it does.

    Raises:
        OSError: nothing can listen at the address.
        services.backend.ModelUnusable: a model's file is broken.
        waypost.catalogue.CatalogueError: a model is not here.
    """
    loaded = [backend(model.backend)(model, place.sessions) for model in worker.models]
    named = list(zip(worker.models, loaded, strict=True))
    runners = {model.name: each.runners for model, each in named if isinstance(each, Loaded) and each.runners}
    inboxes = {model.name: _core.Inbox() for model, each in named if isinstance(each, Generator)}
    desks = {model.name: _core.Desk() for model, each in named if isinstance(each, Library)}
    doors: Mapping[str, _core.Inbox | _core.Desk] = {**inboxes, **desks}
    attended = [
        Attended(model.name, each.answer, doors[model.name]) for model, each in named if not isinstance(each, Loaded)
    ]
    server = _server(core_config(worker, place, loaded, telemetry), runners, inboxes, desks)
    address = server.start()
    stop = Stop()
    for each in attended:
        each.open(stop)
    with beside([lambda end: follow_level(server.next_log_level, end)]):
        announce(address)
        stop.wait()
        server.drain(0.0 if any(each.failed for each in attended) else worker.drain_s)
    for each in attended:
        each.close()


class Attended:
    """Where a model takes its requests by itself: a thread that lives as long as the worker."""

    def __init__(self, name: str, answer: Callable[[Any], None], inbox: _core.Inbox | _core.Desk) -> None:
        self._answer_all = answer
        self._inbox = inbox
        self._failure: BaseException | None = None
        self._thread = threading.Thread(name=name, daemon=True, target=self._answer)

    def open(self, stop: Stop) -> None:
        """Begins to answer; `stop` is set should it end by itself, because the worker is of no use then."""
        self._stop = stop
        self._thread.start()

    @property
    def failed(self) -> bool:
        """Whether it ended by itself."""
        return self._failure is not None

    def close(self) -> None:
        """Ends when what was taken is answered.

        Raises:
            Exception: what it ended with before.
        """
        self._inbox.close()
        self._thread.join()
        if self._failure:
            raise self._failure

    def _answer(self) -> None:
        try:
            self._answer_all(self._inbox)
        except BaseException as error:  # raised by `close`, in the main thread
            self._failure = error
            self._inbox.close()
            self._stop.ask()


def _server(
    configuration: str,
    runners: Mapping[str, Sequence[Run]],
    inboxes: Mapping[str, _core.Inbox],
    desks: Mapping[str, _core.Desk],
) -> _core.Worker:
    try:
        return _core.Worker(configuration, runners, inboxes, desks)
    except ValueError as error:
        raise ModelUnusable(str(error)) from None


def core_config(
    worker: Worker, place: Place, loaded: Sequence[Loaded | Generator | Library], telemetry: Telemetry | None = None
) -> str:
    """The configuration as `_core.Worker` reads it."""
    named = list(zip(worker.models, loaded, strict=True))
    own = {
        "instance": place.instance,
        "listen": place.address,
        "tls": None if worker.tls is None or place.address.startswith("unix:") else worker.tls.model_dump(),
        "version": waypost.__version__,
        "telemetry": (telemetry or Telemetry()).core(),
        "models": [_model(model, each) for model, each in named if isinstance(each, Loaded)],
        "generators": [_generator(model, each) for model, each in named if isinstance(each, Generator)],
        "retrievers": [_retriever(model, each) for model, each in named if isinstance(each, Library)],
    }
    return json.dumps(worker.model_dump(include={"limits", "vector_cache", "default_timeout_s"}) | own)


def _model(model: Model, loaded: Loaded) -> dict[str, Any]:
    return {
        "identity": _identity(model, loaded, loaded.max_tokens),
        "kind": loaded.kind,
        "dimensions": loaded.dimensions,
        "tokenizer": loaded.tokenizer and str(loaded.tokenizer),
        "labels": list(loaded.labels),
        "document_frequencies": loaded.document_frequencies and str(loaded.document_frequencies),
        "heads": [{"name": name, "path": str(path)} for name, path in loaded.heads.items()],
        "batching": _batching(loaded.batching),
    }


def _generator(model: Model, generator: Generator) -> dict[str, Any]:
    return {
        "identity": _identity(model, generator, generator.context),
        "slots": generator.slots,
        "queue_limit": model.generate.queue_limit,
        "default_max_tokens": model.generate.max_tokens,
        "adapters": list(generator.adapters),
        "cost_per_1k_output_tokens_usd": model.cost_per_1k_output_tokens_usd or 0.0,
    }


def _retriever(model: Model, library: Library) -> dict[str, Any]:
    said = {"encoder": library.encoder, "reranker": library.reranker}
    return {"identity": _identity(model, library, 0)} | said


def _identity(model: Model, made: Loaded | Generator | Library, max_tokens: int) -> dict[str, Any]:
    said = model.model_dump(include={"name", "backend", "tier", "cost_per_1k_tokens_usd", "quality"})
    return said | {"version": made.version, "max_tokens": max_tokens, "tags": list(model.tags or made.tags)}


def _batching(batching: Batching) -> dict[str, Any]:
    if batching.mode in ("single", "auto"):
        return {"mode": "single"}
    return batching.model_dump()
