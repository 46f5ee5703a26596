"""The router's process: Rust serves and decides, Python keeps the instance list current and writes the events.

`serve` is what `waypost router` runs.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import waypost
from router import events, registry
from waypost import _core, cpus
from waypost.config import Router
from waypost.life import Stop


def serve(config: Router, instances: Iterable[str], announce: Callable[[str], None]) -> None:
    """Serves until the process is asked to stop; `announce` gets the address once it listens.

    Raises:
        InvalidInstanceList: the instance file has a line that is no address.
        OSError: nothing can listen at the configured address.
    """
    static = registry.combined(config.instances, instances)
    listed = registry.read(Path(config.instances_file)) if config.instances_file else []
    router = _core.Router(core_config(config, registry.combined(static, listed)))
    address = router.start()
    stop = Stop()
    with _beside(_jobs(config, router, static, listed)):
        announce(address)
        stop.wait()
        router.drain(config.drain_s)


def core_config(config: Router, instances: list[str]) -> str:
    """The configuration as `_core.Router` reads it."""
    own = {"drain_s", "instances_file", "decisions"}
    threads = config.io_threads or max(1, cpus.available() // 2)
    plane = config.model_dump(exclude=own) | {"instances": instances, "io_threads": threads}
    return json.dumps(plane | {"instance": "router", "version": waypost.__version__})


Job = Callable[[threading.Event], None]


def _jobs(config: Router, router: Any, static: list[str], listed: list[str]) -> Iterator[Job]:
    sink = events.sink(config.decisions)
    yield lambda stop: events.drain(router, sink, stop)
    if path := config.instances_file:

        def changed(found: list[str]) -> None:
            router.set_instances(registry.combined(static, found))

        yield lambda stop: registry.watch(Path(path), listed, changed, stop)


@contextmanager
def _beside(jobs: Iterable[Job]) -> Iterator[None]:
    """Runs jobs in threads of their own until the block is left."""
    stop = threading.Event()
    threads = [threading.Thread(target=job, args=(stop,)) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
