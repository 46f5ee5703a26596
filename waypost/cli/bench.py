"""`waypost bench`: a quick look at a mesh's latency and throughput; `bench/` in the repository compares with care.

The load comes from Rust, as a Python client would cost more CPU per call than router and worker together.  No text
comes twice within the workers' vector cache, so that every one is run.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waypost.cli import show
from waypost.cli.failures import CommandError
from waypost.cli.options import Address, Json, Model, address_or_running

if TYPE_CHECKING:
    from waypost._calls import Call
    from waypost.results import ModelInfo

DISTINCT = 10_000
"""Payloads per task; the default vector cache keeps 4,096."""

WORDS = (
    "account balance transfer weather tomorrow morning river music guitar station ticket window garden letter coffee "
    "school winter doctor market bridge engine paper mountain island kitchen village"
)


@dataclass(frozen=True)
class Task:
    """What to send: one payload per call, each with so many texts."""

    name: str
    texts: int
    call: Callable[[Sequence[str]], Call[Any]]


@dataclass(frozen=True)
class Figures:
    """What came back; latencies in seconds."""

    task: str
    clients: int
    calls: int
    failed: int
    calls_per_s: float
    texts_per_s: float
    p50: float
    p99: float


def bench(
    address: Address = "",
    model: Model = "",
    head: Annotated[str, typer.Option(help="Label set of classify; without it, the first the mesh has.")] = "",
    clients: Annotated[int, typer.Option(help="Callers at once, each waiting for its answer.", min=1)] = 8,
    seconds: Annotated[float, typer.Option(help="Length of each measurement.", min=0.1)] = 5.0,
    words: Annotated[int, typer.Option(help="Words per text.", min=1)] = 8,
    json: Json = False,
) -> None:
    """Latency and throughput of embed, classify and rerank."""
    from waypost.client import Client
    from waypost.tls import speaks_tls

    called = address_or_running(address)
    if speaks_tls(called):
        raise CommandError("the load generator speaks plain text: run it on the mesh's machine, without --address")
    with Client(called) as client:
        tasks = list(_tasks(client.models(), model, head))
    if not tasks:
        raise CommandError(f"{called} has no model {model!r}" if model else f"{called} has no models")
    figures = [_measured(called, task, clients, seconds, words) for task in tasks]
    if json:
        return show.as_json(figures)
    _show(called, figures)


def _tasks(models: Sequence[ModelInfo], model: str, head: str) -> Iterator[Task]:
    from waypost import _calls

    mine = [each for each in models if not model or each.name == model]
    heads = [each.name for info in mine for each in info.heads if not head or each.name == head]
    if any("embed" in each.tasks for each in mine):
        yield Task("embed", 1, lambda texts: _calls.embed(texts, model=model))
    if heads:
        yield Task(f"classify {heads[0]}", 1, lambda texts: _calls.classify(texts, model=model, head=heads[0], top_k=1))
    if any("rerank" in each.tasks for each in mine):
        yield Task("rerank", 8, lambda texts: _calls.rerank(texts[0], texts, model=model))


def _measured(address: str, task: Task, clients: int, seconds: float, words: int) -> Figures:
    import numpy as np

    from waypost import _core

    calls = [task.call(texts) for texts in _texts(task.texts, words)]
    payloads = [call.request.SerializeToString() for call in calls]
    key = os.environ.get("WAYPOST_KEY") or None
    latencies, _, codes, elapsed = _core.load(
        address, calls[0].rpc.path, payloads, clients=clients, duration_s=seconds, key=key
    )
    done = codes.get(0, 0)
    p50, p99 = np.percentile(latencies, [50, 99]) if len(latencies) else (0.0, 0.0)
    return Figures(
        task.name,
        clients,
        sum(codes.values()),
        sum(codes.values()) - done,
        done / elapsed,
        done * task.texts / elapsed,
        float(p50),
        float(p99),
    )


def _texts(per_call: int, words: int) -> Iterator[list[str]]:
    """Seeded texts; a number in each keeps them apart."""
    draw = random.Random(0)
    for call in range(DISTINCT):
        yield [" ".join([str(call * per_call + i), *draw.choices(WORDS.split(), k=words)]) for i in range(per_call)]


def _show(address: str, figures: Sequence[Figures]) -> None:
    from waypost import _core

    columns = ("task", "clients ", "calls/s ", "texts/s ", "p50 ", "p99 ", "failed ")
    rows = (
        (
            each.task,
            each.clients,
            f"{each.calls_per_s:.0f}",
            f"{each.texts_per_s:.0f}",
            show.milliseconds(each.p50),
            show.milliseconds(each.p99),
            each.failed,
        )
        for each in figures
    )
    show.table(f"{address} (load generator: {_core.build_profile} build)", columns, rows)
