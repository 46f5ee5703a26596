"""What does thinking cost a call?

Question: CPU per call and added median latency of the router with everything on: a tenant's key, its rate, features of
the prompt (tier head, guard head, cues), choice of model and replica, a look into the cache that misses, money held and
settled in the ledger (SQLite), the decision's line in the log.  And how fast a kept answer comes back.
Control: the same worker called directly; and the same router with all of that off.
The worker answers Generate from a template, so it has nothing to compute; its price makes every call one that costs.
Measured: wall time per call in a Rust load generator, and the router process's user + system time over the same calls;
prompts are questions of some 40 words, all different, except where kept answers are measured; contenders are
interleaved, medians over rounds are shown.  Afterwards the decisions say whether the cache and the money did what is
claimed.

    python -m bench.think
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench import mesh, processes, table
from bench.texts import texts
from waypost.v1 import generate_pb2

PATH = "/waypost.v1.GenerateService/Generate"
ROUNDS, SECONDS, WARM_S, CLIENTS = 5, 2.0, 0.5, 16
CALLS = 30_000
"""More than a load sends, so that it does not begin again at the first."""
KEY = "bench-key"

WORKER = """
[[workers]]
name = "w"
[[workers.models]]
name = "instant"
backend = "template"
source = "{template}"
cost_per_1k_tokens_usd = {usd}
generate = {{ slots = 64, queue_limit = 1024 }}
"""
ON = """
[router]
instances = ["{worker}"]
tenant_default = {{ calls_per_second = 1000000.0 }}
[router.decisions]
to = "{folder}/on.jsonl"
max_bytes = 1073741824
[router.tiers]
enabled = true
[router.tags]
detect = true
[router.guard]
mode = "annotate"
[router.cache]
enabled = true
[router.budget]
store = "sqlite:{folder}/ledger.db"
monthly_usd = 1000000.0
[[router.tenants]]
name = "bench"
key_env = "WAYPOST_BENCH_KEY"
calls_per_second = 1000000.0
"""
OFF = """
[router]
instances = ["{worker}"]
[router.decisions]
to = "none"
[router.tiers]
enabled = false
[router.tags]
detect = false
[router.cache]
enabled = false
[router.budget]
store = "memory:"
"""


@dataclass
class Contender:
    """A way to the worker, and what is sent along it."""

    name: str
    address: str
    prompts: Iterator[list[bytes]]
    pid: int | None = None
    key: str | None = None
    cpu_us: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)

    def warm(self) -> None:
        """Connections are open, and what can be kept is."""
        self._load(1, WARM_S)

    def round(self) -> None:
        """One client for latency, then many for CPU per call."""
        latencies, _ = self._load(1)
        self.p50_ms.append(statistics.median(latencies) * 1e3)
        before = self._cpu()
        latencies, elapsed = self._load(CLIENTS)
        self.cpu_us.append((self._cpu() - before) / len(latencies) * 1e6)
        self.rate.append(len(latencies) / elapsed)

    def _load(self, clients: int, seconds: float = SECONDS) -> tuple[list[float], float]:
        latencies, elapsed = mesh.load(self.address, PATH, next(self.prompts), clients, seconds, key=self.key)
        return list(latencies), elapsed

    def _cpu(self) -> float:
        return mesh.cpu_seconds(self.pid) if self.pid else 0.0

    def row(self, direct_ms: float) -> list[str]:
        """Of the table."""
        p50 = statistics.median(self.p50_ms)
        cpu = f"{statistics.median(self.cpu_us):.0f}" if self.pid else ""
        return [self.name, cpu, f"{p50:.3f}", f"{p50 - direct_ms:+.3f}", f"{statistics.median(self.rate):.0f}"]


def fresh() -> Iterator[list[bytes]]:
    """Prompts that were never sent before, for as many loads as are wanted."""
    short = texts("short", 5000)
    words = [" ".join(short[at : at + 5]) for at in range(0, len(short), 5)]
    numbers = itertools.count()
    while True:
        yield [_encoded(f"Question {next(numbers)}: {words[n % len(words)]}?") for n in range(CALLS)]


def again() -> Iterator[list[bytes]]:
    """The same prompts each time."""
    return itertools.repeat([_encoded(f"What do we know of {text}?") for text in texts("short", 100)])


def _encoded(text: str) -> bytes:
    request = generate_pb2.GenerateRequest(raw=text, max_tokens=32)
    request.sampling.temperature = 0.0
    return request.SerializeToString()


def contenders(stack: ExitStack, folder: Path) -> list[Contender]:
    """Two workers, one of which has a price, a router before each, and the ways through them."""
    template = folder / "answer.j2"
    template.write_text("Forty-two, as far as anybody knows.")
    os.environ["WAYPOST_BENCH_KEY"] = KEY
    free, priced = (
        stack.enter_context(processes.started("worker", WORKER.format(template=template, usd=usd)))
        for usd in (0.0, 0.0001)
    )
    on = stack.enter_context(processes.started("router", ON.format(folder=folder, worker=priced.address)))
    off = stack.enter_context(processes.started("router", OFF.format(worker=free.address)))
    return [
        Contender("direct", free.address, fresh()),
        Contender("router, all off", off.address, fresh(), off.pid),
        Contender("**router, everything on, not in the cache**", on.address, fresh(), on.pid, KEY),
        Contender("**the same, answered from the cache**", on.address, again(), on.pid, KEY),
    ]


def seen(decisions: Path) -> Counter[str]:
    """What the decisions say of cache and cost."""
    lines = map(json.loads, decisions.read_text().splitlines())
    return Counter(f"{line['cache']}{', costs' if line['cost_usd'] else ''}" for line in lines)


def main() -> None:
    """Runs the bench and prints its table."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        ways = contenders(stack, Path(place))
        for way in ways:
            way.warm()
        for _ in range(ROUNDS):
            for way in ways:
                way.round()
                time.sleep(0.1)
        stack.close()
        decided = seen(Path(place) / "on.jsonl")
    direct_ms = statistics.median(ways[0].p50_ms)
    table.show(
        f"Everything on ({table.machine()})",
        [
            "way",
            f"CPU us / call ({CLIENTS} clients)",
            "p50 ms (1 client)",
            "added p50 ms",
            f"calls/s ({CLIENTS} clients)",
        ],
        [way.row(direct_ms) for way in ways],
    )
    print("\nDecisions by cache:", ", ".join(f"{what}: {count}" for what, count in sorted(decided.items())))


if __name__ == "__main__":
    main()
