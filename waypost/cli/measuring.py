"""Measures one model in a worker of its own: a real process, called over gRPC by the load generator in Rust.

    start once, unmeasured, so that files are in the page cache and llama.cpp has settled how it runs
    → a worker with nothing to load: seconds and memory that any worker costs
    → the model's worker: seconds until it serves, memory, runs of calls, memory again

Runs are short: they say how fast a model is here, not what a busy mesh does (`waypost bench` does).  The worker keeps
no vectors, so every text is run.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import waypost
from waypost import _core
from waypost.catalogue.measurements import Machine, Measurement, Memory, Work
from waypost.cli import bench
from waypost.cli.bench import Kind, Task
from waypost.cli.failures import CommandError
from waypost.cli.mesh import WAYPOST
from waypost.client import Client
from waypost.config import Config, Model, Worker
from waypost.errors import WaypostError
from waypost.results import ModelInfo

SHORT, LONG, PROMPT = 8, 128, 16
"""Words of a text, and of a prompt."""
BUSY = 16
"""Callers at once, where a model reads."""
ANSWER = 64
"""Most tokens of an answer."""
WARM_S = 0.3
WRITES_LONGER = 3
"""An answer takes longer than a reading: its runs are so many times as long."""
SAMPLE = 32
"""Texts whose tokens are counted, for tokens a second."""
END_S = 60.0
LOG_LINES = 3
EMPTY = Model(name="empty", backend="hash", dimensions=8)

Told = Callable[[str], None]


@dataclass(frozen=True)
class Subject:
    """What is measured, and how it is to be called in the record."""

    model: Model
    name: str
    version: str
    variant: str
    quantisation: Callable[[], str | None]


@dataclass(frozen=True)
class Run:
    """One kind of call, by so many callers."""

    task: Task
    words: int
    clients: int
    seconds: float
    tokens_per_text: float | None


@dataclass(frozen=True)
class Serving:
    """A worker that serves, `load_s` seconds after it was started."""

    address: str
    pid: int
    load_s: float


def measured(subject: Subject, seconds: float, told: Told = lambda step: None) -> Measurement:
    """Runs of so many seconds each.

    Raises:
        CommandError: the worker does not start, or answers nothing.
    """
    load_before = os.getloadavg()[0]
    told("starting it once")
    with started(subject.model):
        pass
    told("starting a worker with nothing to load")
    with started(EMPTY) as empty:
        empty_bytes = resident(empty.pid)
    told("starting it")
    with started(subject.model) as own:
        loaded = resident(own.pid)
        works = tuple(_works(own.address, subject.model.name, seconds, told))
        worked, peak = resident(own.pid), resident(own.pid, "VmHWM")
    memory = None if None in (empty_bytes, loaded, worked, peak) else (empty_bytes, loaded, worked, peak)
    return Measurement(
        model=subject.name,
        version=subject.version,
        variant=subject.variant,
        quantisation=subject.quantisation(),
        machine=Machine.this(),
        measured=datetime.now(UTC),
        waypost=f"{waypost.__version__} ({_core.build_profile} build)",
        load_before=load_before,
        load_s=own.load_s,
        empty_load_s=empty.load_s,
        memory=memory and Memory.model_validate(dict(zip(Memory.model_fields, memory, strict=True))),
        works=works,
    )


@contextlib.contextmanager
def started(model: Model) -> Iterator[Serving]:
    """A worker process with this model alone, ended with the block.

    Raises:
        CommandError: it ended before it served; the last lines of its log say why.
    """
    config = Config(workers=(Worker(name="measured", vector_cache=0, models=(model,)),))
    with tempfile.TemporaryDirectory(prefix="waypost-") as folder, (Path(folder) / "log").open("w+") as log:
        file = Path(folder) / "config.json"
        file.write_text(config.model_dump_json(exclude_unset=True))
        command = (
            *WAYPOST,
            "worker",
            "--config",
            str(file),
            "--listen",
            f"unix:{folder}/w.sock",
            "--json",
            "--lifeline",
        )
        began = time.perf_counter()
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as process:
            try:
                yield Serving(_address(process, log.name), process.pid, time.perf_counter() - began)
            finally:
                process.terminate()
                process.wait(timeout=END_S)


def resident(pid: int, which: str = "VmRSS") -> int | None:
    """Resident memory of a process in bytes, now or (VmHWM) at most; None where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    found = (line.split() for line in lines if line.startswith(f"{which}:"))
    return next((int(words[1]) * 1024 for words in found), None)


def _address(process: subprocess.Popen[str], log: str) -> str:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        last = Path(log).read_text().strip().splitlines()[-LOG_LINES:]
        raise CommandError("\n  ".join(["the worker does not start; its log ends so:", *last]))
    return str(json.loads(line)["address"])


# ---- runs ----


def _works(address: str, name: str, seconds: float, told: Told) -> Iterator[Work]:
    with Client(address) as client:
        (info,) = [each for each in client.instance().models if each.name == name]
        runs = list(_runs(client, info, seconds))
    if not runs:
        raise CommandError(f"{name} does nothing that can be measured: its tasks are {', '.join(info.tasks) or 'none'}")
    for run in runs:
        told(f"{run.task.name}, {run.words} words, callers: {run.clients}")
        bench.measured(address, run.task, run.clients, WARM_S, run.words)
        yield _work(address, run)


def _runs(client: Client, info: ModelInfo, seconds: float) -> Iterator[Run]:
    """Every task with short texts, one caller; the first also with long texts, and with many callers."""
    tasks = list(_tasks(info))
    for task in tasks:
        if task.writes:
            callers = (1, max(info.slots, 2))
            yield from (Run(task, PROMPT, clients, seconds * WRITES_LONGER, None) for clients in callers)
        else:
            yield _run(client, info, task, SHORT, 1, seconds)
    if tasks and not tasks[0].writes:
        yield _run(client, info, tasks[0], LONG, 1, seconds)
        yield _run(client, info, tasks[0], SHORT, BUSY, seconds)


def _tasks(info: ModelInfo) -> Iterator[Task]:
    """What it was made for comes first: a classifier's own labels, an encoder's vectors."""
    yield from bench.tasks_of([info], info.name, "", (Kind.EMBED, Kind.GENERATE), ANSWER)
    for head in info.heads:
        yield from bench.tasks_of([info], info.name, head.name, (Kind.CLASSIFY,), ANSWER)
    yield from bench.tasks_of([info], info.name, "", (Kind.RERANK,), ANSWER)


def _run(client: Client, info: ModelInfo, task: Task, words: int, clients: int, seconds: float) -> Run:
    while True:
        tokens = _tokens(client, info, words)
        if (
            words == 1
            or not info.max_tokens
            or not tokens
            or max(tokens) * (2 if task.texts > 1 else 1) < info.max_tokens
        ):
            mean = sum(tokens) / len(tokens) if tokens and task.texts == 1 else None
            return Run(task, words, clients, seconds, mean)
        words //= 2


def _tokens(client: Client, info: ModelInfo, words: int) -> Sequence[int]:
    """Tokens of some of the texts; none where the model counts none."""
    sample = [each for (each,) in islice(bench.texts(1, words), SAMPLE)]
    try:
        return client.count_tokens(sample, model=info.name).tokens
    except WaypostError:
        return ()


def _work(address: str, run: Run) -> Work:
    found = bench.measured(address, run.task, run.clients, run.seconds, run.words).figures
    if found.calls == found.failed:
        raise CommandError(f"{run.task.name}: none of {found.calls} calls was answered")
    read = None if run.tokens_per_text is None else found.texts_per_s * run.tokens_per_text
    return Work(
        task=run.task.name,
        texts=run.task.texts,
        words=run.words,
        clients=run.clients,
        seconds=run.seconds,
        calls=found.calls,
        failed=found.failed,
        calls_per_s=found.calls_per_s,
        texts_per_s=found.texts_per_s,
        tokens_per_s=found.tokens_per_s if run.task.writes else read,
        p50_ms=found.p50 * 1e3,
        p95_ms=found.p95 * 1e3,
        p99_ms=found.p99 * 1e3,
        first_token_p50_ms=None if found.first_p50 is None else found.first_p50 * 1e3,
        first_token_p95_ms=None if found.first_p95 is None else found.first_p95 * 1e3,
    )
