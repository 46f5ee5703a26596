"""The router's process: Rust serves and decides, Python keeps the instance list current and writes the events.

`serve` is what `waypost router` runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import waypost
from router import audit, events, feedback, payloads, registry, rollout_jobs, tenants
from router.store import jobs as store_jobs
from waypost import _core, cpus, places
from waypost.config import Router, Telemetry, looks_like_path
from waypost.life import Job, Stop, beside
from waypost.telemetry import follow_level

Shipped = Callable[[str], Path]
"""The file of a shipped head, by its name."""


def serve(
    config: Router,
    instances: Iterable[str],
    shipped: Shipped,
    announce: Callable[[str], None],
    sockets: Path | None = None,
    telemetry: Telemetry | None = None,
) -> None:
    """Serves until the process is asked to stop; `announce` gets the address once it listens.

    `sockets` is a folder for the sockets of gateway and operator.

    Raises:
        InvalidInstanceList: the instance file has a line that is no address.
        ConfigError: a tenant's key is not there.
        OSError: nothing can listen at the configured address, or a certificate cannot be used.
    """
    static = registry.combined(config.instances, instances)
    listed = registry.read(Path(config.instances_file)) if config.instances_file else []
    router = _core.Router(core_config(config, registry.combined(static, listed), shipped, sockets, telemetry))
    address = router.start()
    stop = Stop()
    with beside(_jobs(config, router, static, listed)):
        announce(address)
        stop.wait()
        router.drain(config.drain_s)


def core_config(
    config: Router,
    instances: list[str],
    shipped: Shipped,
    sockets: Path | None = None,
    telemetry: Telemetry | None = None,
) -> str:
    """The configuration as `_core.Router` reads it: with tenants' keys in plain text, so it is never to be logged.

    Raises:
        ConfigError: a tenant's key is not there.
    """
    own = {"drain_s", "instances_file", "decisions", "audit", "store", "life", "insecure"}
    plane = config.model_dump(exclude=own) | {"instances": instances}
    plane |= {"instance": "router", "version": waypost.__version__}
    plane["io_threads"] = config.io_threads or max(1, cpus.available() // 2)
    plane["tenants"] = tenants.keyed(config.tenants)
    plane["policies"]["model"] = config.policies.model or ""
    plane["payloads"] = {"mode": config.payloads.mode, "max_text_bytes": config.payloads.max_text_bytes}
    plane["telemetry"] = (telemetry or Telemetry()).core()
    plane["auth"] = {"required": config.auth.required}
    plane["local"] = {"gateway": gateway(sockets), "operator": operator(config, sockets)}
    plane["tiers"]["head"] = _head(config.tiers.head, shipped)
    plane["guard"]["head"] = _head(config.guard.head, shipped)
    plane["budget"]["store"] = _store(config.budget.store)
    return json.dumps(plane)


def gateway(sockets: Path | None) -> str | None:
    """Where the HTTP gateway calls the router."""
    return f"unix:{sockets}/router.sock" if sockets else None


def operator(config: Router, sockets: Path | None) -> str | None:
    """Where whoever can open a socket is the operator."""
    path = config.auth.operator_socket or (sockets and sockets / "operator.sock")
    return f"unix:{path}" if path else None


def _head(head: str, shipped: Shipped) -> str:
    return head if looks_like_path(head) else str(shipped(head))


def _store(store: str) -> str:
    if store != "file":
        return store
    home = places.home()
    home.mkdir(parents=True, exist_ok=True)
    ledger = home / "ledger.db"
    ledger.touch(0o600)
    ledger.chmod(0o600)  # also one that was made when others could read it
    return f"sqlite:{ledger}"


def _jobs(config: Router, router: Any, static: list[str], listed: list[str]) -> Iterator[Job]:
    kept = store_jobs.opened(config)
    sink = kept.decisions(events.sink(config.decisions))
    yield kept.fed_by(lambda stop: events.drain(router, sink, stop, kept.linger_s))
    record = kept.audits(events.sink(config.audit, "audit"))
    yield kept.fed_by(lambda stop: audit.drain(router, record, stop))
    opinions = kept.feedback(events.Nowhere())
    yield kept.fed_by(lambda stop: feedback.drain(router, opinions, stop))
    yield from kept.models(lambda: json.loads(router.status())["models"])
    yield lambda stop: follow_level(router.next_log_level, stop)
    yield kept.fed_by(payloads.job(config, router, kept.texts))
    rollouts = rollout_jobs.jobs(router, _core.judge_canary, _core.canary_traffic, config.rollout, kept.rollouts)
    yield from map(kept.fed_by, rollouts)
    yield from kept.jobs()
    if path := config.instances_file:

        def changed(found: list[str]) -> None:
            router.set_instances(registry.combined(static, found))

        yield lambda stop: registry.watch(Path(path), listed, changed, stop)
