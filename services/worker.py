"""A worker's process: Python makes the sessions, Rust serves them.

`serve` is what `waypost worker` runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import waypost
from services.backend import Loaded, ModelUnusable, Run
from services.backends import backend
from waypost import _core, cpus, places
from waypost.config import Batching, Config, Model, Worker
from waypost.life import Stop


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


def serve(worker: Worker, place: Place, announce: Callable[[str], None]) -> None:
    """Serves until the process is asked to stop; `announce` gets the address once it does.

    Raises:
        OSError: nothing can listen at the address.
        services.backend.ModelUnusable: a model's file is broken.
        waypost.catalogue.CatalogueError: a model is not here.
    """
    loaded = [backend(model.backend)(model, place.sessions) for model in worker.models]
    runners = {model.name: each.runners for model, each in zip(worker.models, loaded, strict=True) if each.runners}
    server = _server(core_config(worker, place, loaded), runners)
    address = server.start()
    stop = Stop()
    announce(address)
    stop.wait()
    server.drain(worker.drain_s)


def _server(configuration: str, runners: Mapping[str, Sequence[Run]]) -> _core.Worker:
    try:
        return _core.Worker(configuration, runners)
    except ValueError as error:
        raise ModelUnusable(str(error)) from None


def sessions(config: Config, worker: Worker) -> int:
    """Texts that `worker` runs at once: what it says, or its share of the machine's cores."""
    return worker.sessions or max(1, cpus.available() // sum(each.replicas for each in config.workers))


def core_config(worker: Worker, place: Place, loaded: list[Loaded]) -> str:
    """The configuration as `_core.Worker` reads it."""
    models = [_model(model, each) for model, each in zip(worker.models, loaded, strict=True)]
    own = {"instance": place.instance, "listen": place.address, "version": waypost.__version__, "models": models}
    return json.dumps(worker.model_dump(include={"limits", "vector_cache", "default_timeout_s"}) | own)


def _model(model: Model, loaded: Loaded) -> dict[str, Any]:
    said = model.model_dump(include={"name", "backend", "tier", "cost_per_1k_tokens_usd", "quality"})
    found = {
        "kind": loaded.kind,
        "version": loaded.version,
        "dimensions": loaded.dimensions,
        "max_tokens": loaded.max_tokens,
        "tokenizer": loaded.tokenizer and str(loaded.tokenizer),
        "labels": list(loaded.labels),
        "document_frequencies": loaded.document_frequencies and str(loaded.document_frequencies),
        "heads": [{"name": name, "path": str(path)} for name, path in loaded.heads.items()],
    }
    return said | found | {"tags": list(model.tags or loaded.tags), "batching": _batching(loaded.batching)}


def _batching(batching: Batching) -> dict[str, Any]:
    if batching.mode in ("single", "auto"):
        return {"mode": "single"}
    return batching.model_dump()
