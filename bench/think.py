"""What does thinking cost a call?

Question: CPU per call and added median latency of the router with everything on: a tenant's key, its rate, features of
the prompt (tier head, guard head, cues), choice of model and replica, a look into the cache that misses, money held and
settled in the ledger (SQLite), the decision's line in the log.  And how fast a kept answer comes back.
Control: the same worker called directly; and the same router with all of that off.
The worker answers Generate from a template, so it has nothing to compute; its price makes every call one that costs.
Measured: wall time per call in a Rust load generator, and the router process's user + system time over the same calls;
prompts are questions of some 40 words, all different; contenders are interleaved, medians over rounds are shown.

    python -m bench.think
"""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench import mesh, table
from bench.texts import texts
from waypost import _core, address
from waypost.v1 import common_pb2, generate_pb2

PATH = "/waypost.v1.GenerateService/Generate"
ROUNDS, SECONDS = 5, 2.0

WORKER = """
[[workers]]
name = "w"
listen = "127.0.0.1:{port}"
[[workers.models]]
name = "instant"
backend = "template"
source = "{template}"
cost_per_1k_tokens_usd = 0.0001
generate = {{ slots = 64, queue_limit = 1024 }}
"""
ON = """
[router]
tenant_default = { calls_per_second = 1000000.0 }
[router.tiers]
enabled = true
[router.guard]
mode = "annotate"
[router.cache]
enabled = true
[router.budget]
store = "sqlite:{ledger}"
monthly_usd = 1000000.0
[[router.tenants]]
name = "bench"
key_env = "WAYPOST_BENCH_KEY"
"""
OFF = """
[router]
instances = ["127.0.0.1:{port}"]
[router.tiers]
enabled = false
[router.tags]
detect = false
[router.cache]
enabled = false
"""


@dataclass
class Contender:
    """A way to the worker, and what is sent along it."""

    name: str
    address: str
    pids: list[int]
    payloads: Iterator[list[bytes]]
    cpu_us: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)

    def round(self) -> None:
        """One client for latency, then 16 for CPU per call."""
        latencies, _ = self._load(1)
        self.p50_ms.append(statistics.median(latencies) * 1e3)
        before = sum(map(mesh.cpu_seconds, self.pids))
        latencies, _ = self._load(16)
        self.cpu_us.append((sum(map(mesh.cpu_seconds, self.pids)) - before) / len(latencies) * 1e6)

    def _load(self, clients: int) -> tuple[list[float], float]:
        latencies, elapsed = mesh.load(self.address, PATH, next(self.payloads), clients, SECONDS)
        return list(latencies), elapsed
