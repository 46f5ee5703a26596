"""What does it cost to be watched?

Question: which share of the throughput of Embed at 32 clients remains when everything is observed: metrics, scraped
each second; the decision log in a file; every call traced and its spans sent; a dashboard that looks on.
Control: the same mesh with `metrics = false`, no decision log and no traces, called in turns with it; a third one, with
metrics and decision log alone, says what of the price is theirs.
Measured: calls per second of a Rust load generator, and user + system time of all processes of the mesh over the same
calls, once for hash vectors, where a call is next to nothing, and once for a real model.  Ratios are those of the same
round; medians over rounds are shown.  The receiver of the spans is a process that reads nothing; it shares the cores,
at the lowest priority, and its CPU is shown by itself.  Afterwards it is seen whether spans came, and how many were
lost.

    python -m bench.observe          # python -m bench.observe hash: that one alone
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import psutil

import waypost
from bench import mesh, processes, table
from bench.texts import texts
from waypost.v1 import embed_pb2

PATH = "/waypost.v1.EmbedService/Embed"
ROUNDS, SECONDS, WARM_S, CLIENTS = 7, 3.0, 1.0, 32
GOAL = 0.95
SCRAPE_S = 1.0
OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}

OFF = """
[telemetry]
metrics = false
[router.decisions]
to = "none"
"""
METRICS = """
[telemetry]
metrics = true
[router.decisions]
to = "{folder}/{model}-metrics.jsonl"
"""
FULL = """
[telemetry]
metrics = true
otlp = "http://{otlp}"
sample = 1.0
[router.decisions]
to = "{folder}/{model}-full.jsonl"
"""
MODELS = {
    "hash": 'backend = "hash"\ndimensions = 384',
    "minilm": 'source = "all-minilm-l6-v2"',
}
MESH = """
[http]
listen = "127.0.0.1:0"
[[workers]]
name = "local"
vector_cache = 0
[[workers.models]]
name = "model"
{model}
{watching}
"""


@dataclass
class Contender:
    """A mesh that is watched in one way."""

    name: str
    running: mesh.Mesh
    scraped: bool = False
    looked_at: bool = False
    sink: psutil.Process | None = None
    rate: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    sink_us: list[float] = field(default_factory=list)

    def round(self, payloads: list[bytes], seconds: float) -> None:
        """All clients at once, while others look on."""
        assert self.running.http
        with ExitStack() as stack:
            if self.scraped:
                stack.enter_context(scraping(f"{self.running.http}/metrics"))
            if self.looked_at:
                stack.enter_context(looking_on(f"{self.running.http}/api/live"))
            own, sink = self._cpu(), self._sink_cpu()
            latencies, elapsed = mesh.load(self.running.address, PATH, payloads, CLIENTS, seconds)
            calls = len(latencies)
            self.cpu_us.append((self._cpu() - own) / calls * 1e6)
            self.sink_us.append((self._sink_cpu() - sink) / calls * 1e6)
        self.rate.append(calls / elapsed)

    def forget(self) -> None:
        """What was measured to warm up."""
        self.rate, self.cpu_us, self.sink_us = [], [], []

    def _cpu(self) -> float:
        parent = psutil.Process(self.running.pid)
        return sum(mesh.cpu_seconds(each.pid) for each in (parent, *parent.children(recursive=True)))

    def _sink_cpu(self) -> float:
        return mesh.cpu_seconds(self.sink.pid) if self.sink else 0.0


@contextmanager
def scraping(url: str) -> Iterator[None]:
    """As Prometheus does, each second."""
    request = urllib.request.Request(url, headers=OPENMETRICS)

    def scrape(over: threading.Event) -> None:
        while not over.wait(SCRAPE_S):
            with urllib.request.urlopen(request, timeout=30) as reply:
                assert b"waypost_router_up 1.0" in reply.read()

    with beside(scrape):
        yield


@contextmanager
def looking_on(url: str) -> Iterator[None]:
    """As a dashboard does, which is told something each second."""

    def look(over: threading.Event) -> None:
        with urllib.request.urlopen(url, timeout=30) as reply:
            while not over.is_set():
                assert reply.readline()

    with beside(look):
        yield


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Does it on a thread until the block is over; what it raises ends the bench."""
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work, over)
        try:
            yield
        finally:
            over.set()
        done.result()


def measure(model: str, sink: processes.Process, folder: str) -> list[Contender]:
    """All ways to watch one model, in turns."""
    with ExitStack() as stack:

        def running(watching: str) -> mesh.Mesh:
            watching = watching.format(folder=folder, model=model, otlp=sink.address)
            return stack.enter_context(mesh.running(MESH.format(model=MODELS[model], watching=watching)))

        contenders = [
            Contender("off", running(OFF)),
            Contender("metrics and decisions", running(METRICS), scraped=True),
            Contender("everything", running(FULL), scraped=True, looked_at=True, sink=psutil.Process(sink.pid)),
        ]
        payloads = [embed_pb2.EmbedRequest(texts=[text]).SerializeToString() for text in texts("short", 5000)]
        for each in contenders:
            each.round(payloads, WARM_S)
            each.forget()
        for number in range(ROUNDS):
            # Nobody comes after the same neighbour each time.
            for each in contenders[number % 3 :] + contenders[: number % 3]:
                each.round(payloads, SECONDS)
        print(f"{model}: {lost(contenders[-1].running.address):.0f} spans lost, {said(sink)}", file=sys.stderr)
    return contenders


def lost(address: str) -> float:
    """Spans that were not sent."""
    with waypost.Client(address) as client:
        (dropped,) = [each for each in client.metrics() if each.name == "waypost_events_dropped"]
    return sum(series.value for series in dropped.series if "spans" in series.values)


def said(sink: processes.Process) -> dict[str, int]:
    """What the sink has got, of all meshes so far."""
    sink.tell("?")
    assert sink.popen.stdout
    return dict(json.loads(sink.popen.stdout.readline()))


def show(model: str, contenders: list[Contender]) -> list[list[str]]:
    """Rows of the table."""
    off = contenders[0]
    rows = []
    for each in contenders:
        ratio = statistics.median(own / other for own, other in zip(each.rate, off.rate, strict=True))
        figures = [f"{statistics.median(of):.0f}" for of in (each.rate, each.cpu_us, each.sink_us)]
        met = "" if each is off else "yes" if ratio >= GOAL else "**no**"
        rows.append([model, each.name, figures[0], f"{ratio:.3f}", *figures[1:], met])
    return rows


def main() -> None:
    """Runs the bench and prints its table."""
    rows: list[list[str]] = []
    chosen = [name for name in MODELS if name in sys.argv[1:]] or list(MODELS)
    with tempfile.TemporaryDirectory() as folder, processes.launched(("bench.otlp_sink",)) as sink:
        for model in chosen:
            rows += show(model, measure(model, sink, folder))
    table.show(
        f"Embed at {CLIENTS} clients, watched ({table.machine()})",
        ["model", "watched", "calls/s", "of off", "CPU us / call", "receiver, us / call", f">= {GOAL:.0%}"],
        rows,
    )


if __name__ == "__main__":
    main()
