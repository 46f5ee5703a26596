"""What can be wrong between the fields that say how many processes of a worker run, and on what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeGuard

from waypost import cpus
from waypost._config_problems import Placed, Problem, Table, table, tables


def _workers(raw: Table) -> Placed:
    return tables(raw, "workers")


def _whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def always(worker: Table) -> int:
    """Processes of a parsed `worker` that run always; what is no number counts for none."""
    usual = 0 if worker.get("start") == "demand" else worker.get("replicas", 1)
    least = worker.get("min_replicas")
    found = usual if least is None else least
    return found if _whole(found) else 0


def _more_than_most(raw: Table, base: Path) -> Iterator[Problem]:
    for place, worker in _workers(raw):
        least, most = worker.get("min_replicas"), worker.get("replicas", 1)
        if _whole(least) and _whole(most) and least > most:
            yield Problem(f"{place}.min_replicas", least, f"above replicas = {most}", "use fewer, or raise it")


def _never_idle(raw: Table, base: Path) -> Iterator[Problem]:
    """What says when a process is ended, of a worker whose processes all run always."""
    for place, worker in _workers(raw):
        if not _whole(worker.get("replicas", 1)) or always(worker) < worker.get("replicas", 1):
            continue
        for key in ("idle_s", "priority"):
            if key in worker:
                fix = 'remove it, or write start = "demand", or fewer min_replicas'
                yield Problem(f"{place}.{key}", worker[key], "of a worker whose processes always run", fix)


def _more_than_there_is(raw: Table, base: Path) -> Iterator[Problem]:
    most = table(table(raw, "router"), "life").get("memory_bytes")
    if not _whole(most):
        return
    placed = [(place, worker, worker.get("memory_bytes")) for place, worker in _workers(raw)]
    sized = [(place, worker, size) for place, worker, size in placed if _whole(size)]
    for place, _, size in sized:
        if size > most:
            fix = "raise that, or use less"
            yield Problem(f"{place}.memory_bytes", size, f"above router.life.memory_bytes = {most}", fix)
    needed = sum(size * always(worker) for _, worker, size in sized)
    if needed > most and all(size <= most for *_, size in sized):
        wrong = f"less than the {needed} of processes that always run"
        yield Problem("router.life.memory_bytes", most, wrong, "use more, or lower min_replicas")


def _unswept(raw: Table, base: Path) -> Iterator[Problem]:
    """Documents expire while nobody asks for them."""
    for place, worker in _workers(raw):
        stores = [key for key, model in tables(worker, "models") if model.get("backend") == "retrieve"]
        if stores and always(worker) == 0:
            key = "min_replicas" if "min_replicas" in worker else "start"
            wrong = "no process always runs, and what has expired would not be removed"
            yield Problem(f"{place}.{key}", worker.get(key), wrong, "let one always run: min_replicas = 1")


def _taken_cpus(raw: Table, base: Path) -> Iterator[Problem]:
    """CPUs that two workers have for themselves."""
    owners: dict[int, str] = {}
    for place, worker in _workers(raw):
        twice = [cpu for cpu in _listed(worker.get("cpus")) if owners.setdefault(cpu, place) != place]
        if twice:
            wrong = f"{cpus.shown(twice)} also listed by {owners[twice[0]]}"
            yield Problem(f"{place}.cpus", worker["cpus"], wrong, "give each worker its own")


def _listed(value: Any) -> tuple[int, ...]:
    try:
        return cpus.parsed(value) if isinstance(value, str) else ()
    except ValueError:
        return ()


CHECKS: tuple[Callable[[Table, Path], Iterator[Problem]], ...] = (
    _more_than_most,
    _never_idle,
    _more_than_there_is,
    _unswept,
    _taken_cpus,
)
