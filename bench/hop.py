"""What does the router cost a call?

Question: CPU per unary call and added median latency of one hop with a 1.5 kB reply, for Waypost's router, a
pass-through proxy in grpc.aio, and nginx `grpc_pass` (where nginx is installed).
Control: the same worker called directly.  The worker serves 384-d hash vectors, so it takes microseconds.
Measured: wall time per call in a Rust load generator, and the proxy process's user + system time over the same calls.
Contenders are interleaved and medians over rounds are shown.  Decision events are written to a file, as by default.

    python -m bench.hop
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psutil

from bench import mesh, table
from bench.texts import texts
from waypost import address
from waypost.v1 import embed_pb2

PATH = "/waypost.v1.EmbedService/Embed"
ROUNDS, SECONDS = 5, 2.0

CONFIG = """
[[workers]]
name = "hash"
listen = "127.0.0.1:{port}"
[[workers.models]]
name = "hash"
backend = "hash"
dimensions = 384
"""


@dataclass
class Contender:
    """A way to the worker."""

    name: str
    address: str
    pids: list[int]
    cpu_us: list[float] = field(default_factory=list)
    p50_ms: dict[int, list[float]] = field(default_factory=lambda: {1: [], 32: []})
    rate: list[float] = field(default_factory=list)

    def cpu(self) -> float:
        return sum(mesh.cpu_seconds(pid) for pid in self.pids)

    def round(self, payloads: list[bytes]) -> None:
        """One client for latency, then 32 for CPU per call."""
        self._load(payloads, 1)
        before = self.cpu()
        calls, elapsed = self._load(payloads, 32)
        self.cpu_us.append((self.cpu() - before) / calls * 1e6)
        self.rate.append(calls / elapsed)

    def _load(self, payloads: list[bytes], clients: int) -> tuple[int, float]:
        latencies, elapsed = mesh.load(self.address, PATH, payloads, clients, SECONDS)
        self.p50_ms[clients].append(statistics.median(latencies) * 1e3)
        return len(latencies), elapsed


@contextmanager
def nginx(target: str) -> Iterator[Contender]:
    """nginx as a gRPC proxy with keep-alive to its backend, one worker process."""
    port = address.concrete("127.0.0.1:0").rsplit(":", 1)[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "nginx.conf"
        config.write_text(
            f"worker_processes 1; daemon off; pid {folder}/pid; error_log stderr crit;\n"
            "events { worker_connections 1024; }\n"
            "http { access_log off;\n"
            f"  upstream worker {{ server {target}; keepalive 64; }}\n"
            f"  server {{ listen 127.0.0.1:{port} http2; keepalive_requests 100000000;\n"
            "    location / { grpc_pass grpc://worker; grpc_socket_keepalive on; } } }\n"
        )
        with subprocess.Popen(["nginx", "-c", str(config), "-p", folder]) as process:
            _wait(f"127.0.0.1:{port}")
            pids = [child.pid for child in psutil.Process(process.pid).children()]
            yield Contender("nginx grpc_pass", f"127.0.0.1:{port}", pids)
            process.terminate()


@contextmanager
def grpc_aio(target: str) -> Iterator[Contender]:
    """A pass-through proxy in Python."""
    own = address.concrete("127.0.0.1:0")
    with subprocess.Popen([sys.executable, "-m", "bench.aio_proxy", own, target]) as process:
        _wait(own)
        yield Contender("grpc.aio proxy", own, [process.pid])
        process.terminate()


def _wait(target: str) -> None:
    with grpc.insecure_channel(target) as channel:
        grpc.channel_ready_future(channel).result(timeout=20)


def main() -> None:
    """Runs the bench and prints its table."""
    port = address.concrete("127.0.0.1:0").rsplit(":", 1)[1]
    payloads = [embed_pb2.EmbedRequest(texts=[text]).SerializeToString() for text in texts("short", 2000)]
    with ExitStack() as stack:
        running = stack.enter_context(mesh.running(CONFIG.format(port=port)))
        worker = f"127.0.0.1:{port}"
        contenders = [
            Contender("direct", worker, []),
            Contender("waypost router", running.address, [running.router_pid()]),
            stack.enter_context(grpc_aio(worker)),
        ]
        if shutil.which("nginx"):
            contenders.append(stack.enter_context(nginx(worker)))
        else:
            print("nginx is not installed: its row is missing (Debian: apt-get install nginx-light)", file=sys.stderr)
        for _ in range(ROUNDS):
            for contender in contenders:
                contender.round(payloads)
                time.sleep(0.1)
    direct = statistics.median(contenders[0].p50_ms[1])
    rows = []
    for each in contenders:
        p50 = statistics.median(each.p50_ms[1])
        cpu = statistics.median(each.cpu_us)
        rows.append(
            [each.name, f"{cpu:.0f}", f"{p50:.3f}", f"{p50 - direct:+.3f}", f"{statistics.median(each.rate):.0f}"]
        )
    table.show(
        f"One hop, 1.5 kB reply ({table.machine()})",
        ["way", "CPU us / call (32 clients)", "p50 ms (1 client)", "added p50 ms", "calls/s (32 clients)"],
        rows,
    )


if __name__ == "__main__":
    main()
