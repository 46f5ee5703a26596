"""`waypost bench`: a quick look at a mesh's latency and throughput; `bench/` in the repository compares with care.

The load comes from Rust, as a Python client would cost more CPU per call than router and worker together; only answers
that are written come so slowly that Python may read them, token by token.  No text comes twice within the workers'
vector cache and the router's cache is passed by, so that every one is run.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waypost.cli import show
from waypost.cli.failures import CommandError
from waypost.cli.options import Address, Json, Model, address_or_running

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.progress import Progress, TaskID

    from waypost._calls import Call
    from waypost.results import ModelInfo

DISTINCT = 10_000
"""Payloads per task; the default vector cache keeps 4,096."""

WORDS = (
    "account balance transfer weather tomorrow morning river music guitar station ticket window garden letter coffee "
    "school winter doctor market bridge engine paper mountain island kitchen village"
)


class Kind(StrEnum):
    """What can be measured."""

    EMBED = "embed"
    CLASSIFY = "classify"
    RERANK = "rerank"
    GENERATE = "generate"


TICK_S = 0.2
READERS = (Kind.EMBED, Kind.CLASSIFY, Kind.RERANK)


@dataclass(frozen=True)
class Task:
    """What to send: one payload per call, each with so many texts."""

    name: str
    texts: int
    call: Callable[[Sequence[str]], Call[Any]]
    writes: bool = False


@dataclass(frozen=True)
class Figures:
    """What came back; latencies in seconds, those of the first token where answers are written."""

    task: str
    clients: int
    calls: int
    failed: int
    calls_per_s: float
    texts_per_s: float
    p50: float
    p95: float
    p99: float
    first_p50: float | None = None
    first_p95: float | None = None
    tokens_per_s: float | None = None


@dataclass(frozen=True)
class Measured:
    """Figures, and what they are made of: seconds of each call that was answered."""

    figures: Figures
    latencies: NDArray[np.float64]


def _counts(text: str) -> tuple[int, ...]:
    """ "1,8,32"."""
    try:
        found = tuple(int(each) for each in text.split(","))
    except ValueError:
        found = ()
    if not found or min(found) < 1 or list(found) != sorted(set(found)):
        raise typer.BadParameter(f"{text!r} are no growing numbers of clients: write such as 1,8,32")
    return found


def bench(
    address: Address = "",
    model: Model = "",
    head: Annotated[str, typer.Option(help="Label set of classify; without it, the first the mesh has.")] = "",
    task: Annotated[
        list[Kind] | None, typer.Option(help="What to measure, may be repeated; without it, all but generate.")
    ] = None,
    clients: Annotated[int, typer.Option(help="Callers at once, each waiting for its answer.", min=1)] = 8,
    sweep: Annotated[
        Any, typer.Option(parser=_counts, metavar="N,N,…", help="Several numbers of callers, one after the other.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Length of each measurement.", min=0.1)] = 5.0,
    words: Annotated[int, typer.Option(help="Words per text.", min=1)] = 8,
    max_tokens: Annotated[int, typer.Option(help="Most tokens of a written answer.", min=1)] = 64,
    report: Annotated[
        Path | None, typer.Option(help="Folder for a report in Markdown with plots.", file_okay=False)
    ] = None,
    json: Json = False,
) -> None:
    """Latency and throughput of embed, classify, rerank and, where it is asked for, generate."""
    from waypost.client import Client
    from waypost.tls import speaks_tls

    called = address_or_running(address)
    if speaks_tls(called):
        raise CommandError("the load generator speaks plain text: run it on the mesh's machine, without --address")
    if report:
        from waypost.cli import bench_report

        bench_report.check()
    with Client(called) as client:
        models = client.models()
        tasks = list(tasks_of(models, model, head, task or READERS, max_tokens))
    if not tasks:
        raise CommandError(_nothing(called, model, models, task or READERS))
    before = os.getloadavg()[0]
    found = _all(called, tasks, sweep or (clients,), seconds, words)
    if report:
        about = bench_report.About(called, seconds, words, max_tokens, models, bench_report.machine(), before)
        show.console(stderr=True).print(f"{bench_report.write(report, about, found)} is written", markup=False)
    if json:
        return show.as_json([each.figures for each in found])
    _show(called, [each.figures for each in found])


def tasks_of(models: Sequence[ModelInfo], model: str, head: str, kinds: Iterable[Kind], tokens: int) -> Iterator[Task]:
    """Those of `kinds` that the mesh does; an answer is written of so many tokens at most."""
    from waypost import _calls

    mine = [each for each in models if not model or each.name == model]
    heads = [each.name for info in mine for each in info.heads if not head or each.name == head]
    does = {task for each in mine for task in each.tasks}
    for kind in kinds:
        if kind == Kind.EMBED and kind in does:
            yield Task("embed", 1, lambda texts: _calls.embed(texts, model=model, no_cache=True))
        elif kind == Kind.CLASSIFY and heads:
            yield Task(
                f"classify {heads[0]}",
                1,
                lambda texts: _calls.classify(texts, model=model, head=heads[0], top_k=1, no_cache=True),
            )
        elif kind == Kind.RERANK and kind in does:
            yield Task("rerank", 8, lambda texts: _calls.rerank(texts[0], texts, model=model, no_cache=True))
        elif kind == Kind.GENERATE and kind in does:
            yield Task("generate", 1, lambda texts: _generate(texts[0], model, tokens), writes=True)


def _generate(text: str, model: str, tokens: int) -> Call[Any]:
    from waypost import _calls

    return _calls.generate_stream(text, model=model, max_tokens=tokens, temperature=0.0, no_cache=True)


def _nothing(called: str, model: str, models: Sequence[ModelInfo], kinds: Iterable[Kind]) -> str:
    if not models or (model and model not in {each.name for each in models}):
        return f"{called} has no model {model!r}" if model else f"{called} has no models"
    return f"{called} has nothing that does {', '.join(kinds)}"


# ---- measuring ----


def _all(address: str, tasks: Sequence[Task], sweep: Sequence[int], seconds: float, words: int) -> list[Measured]:
    from rich.progress import TextColumn

    from waypost.cli import progress

    found = []
    runs = [(task, clients) for task in tasks for clients in sweep]
    with progress.bar(TextColumn("{task.completed:.0f} of {task.total:.0f} s")) as bar:
        whole = bar.add_task("all", total=seconds * len(runs))
        for task, clients in runs:
            ours = bar.add_task(f"{task.name}, clients: {clients}", total=seconds)
            with _ticking(bar, ours, whole):
                found.append(measured(address, task, clients, seconds, words))
            bar.remove_task(ours)
    return found


@contextlib.contextmanager
def _ticking(bar: Progress, *tasks: TaskID) -> Iterator[None]:
    """Moves bars on in another thread, so that Ctrl-C still ends what this one waits for."""
    done = threading.Event()

    def work() -> None:
        while not done.wait(TICK_S):
            for task in tasks:
                bar.advance(task, TICK_S)

    thread = threading.Thread(target=work, name="waypost-progress")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def measured(address: str, task: Task, clients: int, seconds: float, words: int) -> Measured:
    """What callers get who ask without a pause, each with texts of so many words."""
    calls = [task.call(each) for each in texts(task.texts, words)]
    payloads = [call.request.SerializeToString() for call in calls]
    key = os.environ.get("WAYPOST_KEY") or None
    if task.writes:
        return _written(address, task, calls[0].rpc.path, payloads, clients, seconds, key)
    return _read(address, task, calls[0].rpc.path, payloads, clients, seconds, key)


def _read(
    address: str, task: Task, path: str, payloads: list[bytes], clients: int, seconds: float, key: str | None
) -> Measured:
    from waypost import _core

    latencies, _, codes, elapsed = _core.load(address, path, payloads, clients=clients, duration_s=seconds, key=key)
    done, calls = codes.get(0, 0), sum(codes.values())
    rates = (done / elapsed, done * task.texts / elapsed)
    return Measured(Figures(task.name, clients, calls, calls - done, *rates, *_quantiles(latencies)), latencies)


def _written(
    address: str, task: Task, path: str, payloads: list[bytes], clients: int, seconds: float, key: str | None
) -> Measured:
    import asyncio

    import numpy as np

    from waypost.cli.bench_streams import answers

    began = time.perf_counter()
    found = asyncio.run(answers(address, path, payloads, clients, seconds, key))
    elapsed = time.perf_counter() - began
    good = [each for each in found if each.first_s is not None]
    latencies, firsts = (np.array(values) for values in ([x.whole_s for x in good], [x.first_s for x in good]))
    rates = (len(good) / elapsed, len(good) / elapsed)
    first_p50, first_p95, _ = _quantiles(firsts)
    figures = Figures(
        task.name,
        clients,
        len(found),
        len(found) - len(good),
        *rates,
        *_quantiles(latencies),
        first_p50,
        first_p95,
        sum(each.tokens for each in good) / elapsed,
    )
    return Measured(figures, latencies)


def _quantiles(seconds: NDArray[np.float64]) -> tuple[float, float, float]:
    import numpy as np

    p50, p95, p99 = np.percentile(seconds, [50, 95, 99]) if len(seconds) else (0.0, 0.0, 0.0)
    return float(p50), float(p95), float(p99)


def texts(per_call: int, words: int) -> Iterator[list[str]]:
    """Seeded texts; a number in each keeps them apart."""
    draw = random.Random(0)
    for call in range(DISTINCT):
        yield [" ".join([str(call * per_call + i), *draw.choices(WORDS.split(), k=words)]) for i in range(per_call)]


# ---- telling ----


def _show(address: str, figures: Sequence[Figures]) -> None:
    from waypost import _core

    columns = ["task", "clients ", "calls/s ", "texts/s ", "p50 ", "p95 ", "p99 ", "failed "]
    writes = any(each.tokens_per_s is not None for each in figures)
    columns += ["first token ", "tokens/s "] if writes else []
    rows = ((*_row(each), *(_of_tokens(each) if writes else ())) for each in figures)
    show.table(f"{address} (load generator: {_core.build_profile} build)", columns, rows)


def _row(each: Figures) -> tuple[Any, ...]:
    rates = (f"{rate:.{0 if rate >= 10 else 2}f}" for rate in (each.calls_per_s, each.texts_per_s))
    times = (show.milliseconds(value) for value in (each.p50, each.p95, each.p99))
    return each.task, each.clients, *rates, *times, each.failed


def _of_tokens(each: Figures) -> tuple[str, str]:
    if each.tokens_per_s is None or each.first_p50 is None:
        return "", ""
    return show.milliseconds(each.first_p50), f"{each.tokens_per_s:.1f}"
