"""What do callers notice when one of three workers is struck under load?

Question: which share of idempotent calls succeeds, and what do they wait, when a worker is killed (SIGKILL; it comes
back by itself), stops (SIGSTOP; its connections stay open), or answers late (a proxy before it holds every byte back),
and recovers after some seconds?
Control: the same load without a strike.
Measured: status codes and latencies of Embed calls that come at a fixed rate, at most so many at once; hash vectors, so
the work is nothing and the capacity of two workers is far more than is asked for.

    python -m bench.strike
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import grpc
import numpy as np

import waypost
from bench import mesh, processes, table, toxic
from bench.texts import texts
from waypost import _core
from waypost.v1 import embed_pb2

PATH = "/waypost.v1.EmbedService/Embed"
SECONDS, STRUCK_AT_S, STRUCK_S = 20.0, 5.0, 5.0
CLIENTS, RATE, TIMEOUT_S = 64, 400.0, 10.0
DELAY_S = 0.5
GOAL = 0.999

WORKERS = """
[[workers]]
name = "struck"
replicas = {replicas}
[[workers.models]]
name = "hash"
backend = "hash"
dimensions = 384
"""

Act = Callable[[], None]


@dataclass(frozen=True)
class Strike:
    """A fault, and its end."""

    name: str
    begin: Act
    end: Act


@dataclass(frozen=True)
class Seen:
    """What callers noticed."""

    codes: dict[str, int]
    latencies_ms: np.ndarray

    @property
    def success(self) -> float:
        """Share of the calls that were answered."""
        return self.codes.get("OK", 0) / sum(self.codes.values())

    def row(self, name: str) -> list[str]:
        """Of the table."""
        p50, p99, most = np.quantile(self.latencies_ms, (0.5, 0.99, 1.0))
        failed = ", ".join(f"{code}: {count}" for code, count in self.codes.items() if code != "OK") or "none"
        met = "yes" if self.success >= GOAL else "**no**"
        return [
            name,
            str(sum(self.codes.values())),
            f"{self.success:.4%}",
            failed,
            f"{p50:.2f}",
            f"{p99:.1f}",
            f"{most:.0f}",
            met,
        ]


@contextmanager
def struck(strike: Strike) -> Iterator[None]:
    """Strikes while the block runs, and makes good."""
    over = threading.Event()

    def act() -> None:
        if not over.wait(STRUCK_AT_S):
            strike.begin()
            over.wait(STRUCK_S)
            strike.end()

    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def load(address: str) -> Seen:
    """A load of `SECONDS`."""
    payloads = [embed_pb2.EmbedRequest(texts=[text]).SerializeToString() for text in texts("short", 50_000)]
    latencies, _, codes, _ = _core.load(
        address, PATH, payloads, clients=CLIENTS, duration_s=SECONDS, rate=RATE, timeout_s=TIMEOUT_S
    )
    names = {code.value[0]: code.name for code in grpc.StatusCode}
    return Seen({names.get(code, "no answer"): count for code, count in codes.items()}, latencies * 1e3)


def nothing() -> None:
    """The control."""


def signals(running: mesh.Mesh) -> list[Strike]:
    """What can be done to a worker's process."""
    victim = lambda: running.worker_pids()[0]  # noqa: E731 (another one after it was killed)
    return [
        Strike("nothing", nothing, nothing),
        Strike("SIGKILL", lambda: os.kill(victim(), signal.SIGKILL), nothing),
        Strike(
            f"SIGSTOP for {STRUCK_S:g} s",
            lambda: os.kill(victim(), signal.SIGSTOP),
            lambda: os.kill(victim(), signal.SIGCONT),
        ),
    ]


def late(stack: ExitStack) -> tuple[str, Strike]:
    """A router before three workers that are all behind proxies, as equals, and the strike of one of these."""
    workers = [stack.enter_context(processes.started("worker", WORKERS.format(replicas=1))) for _ in range(3)]
    proxies = [stack.enter_context(toxic.slowed(worker.address)) for worker in workers]
    listed = ", ".join(f'"{proxy.address}"' for proxy in proxies)
    router = stack.enter_context(processes.started("router", f"[router]\ninstances = [{listed}]\n"))

    def delay(seconds: float) -> Act:
        return lambda: setattr(proxies[0], "delay_s", seconds)

    return router.address, Strike(f"{DELAY_S:g} s more each way, for {STRUCK_S:g} s", delay(DELAY_S), delay(0.0))


def _ready(address: str) -> None:
    """Returns once a router has all its workers."""
    with waypost.Client(address) as client:
        while sum(each.state == "ready" for each in client.instances()) < 3:
            time.sleep(0.1)


def main() -> None:
    """Runs the bench and prints its table."""
    rows = []
    with mesh.running(WORKERS.format(replicas=3)) as running:
        for strike in signals(running):
            with struck(strike):
                rows.append(load(running.address).row(strike.name))
    with ExitStack() as stack:
        address, strike = late(stack)
        _ready(address)
        for each in (Strike("nothing, behind proxies", nothing, nothing), strike):
            with struck(each):
                rows.append(load(address).row(each.name))
    table.show(
        f"One of three workers is struck, {RATE:g} calls/s ({table.machine()})",
        ["strike", "calls", "answered", "failed", "p50 ms", "p99 ms", "longest, ms", f">= {GOAL:.1%}"],
        rows,
    )


if __name__ == "__main__":
    main()
