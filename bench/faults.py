"""What do callers notice when a worker dies, or is drained?

Question: failed calls at 8 clients while a worker is killed (SIGKILL) or drained (SIGTERM) and comes back, with another
one alive; and with a single one, how long until calls succeed again.
Control: the time a worker alone needs from its process to its ready line.
Measured: status codes of all calls in 12 s of closed-loop load on the embedded default.

    python -m bench.faults
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import grpc

import waypost
from bench import mesh, table
from bench.texts import texts
from waypost import _core, errors
from waypost.v1 import embed_pb2

PATH = "/waypost.v1.EmbedService/Embed"
SECONDS, BEFORE, CLIENTS = 12.0, 3.0, 8

CONFIG = """
[[workers]]
name = "local"
replicas = {replicas}
vector_cache = 0
[[workers.models]]
name = "minilm"
source = "all-minilm-l6-v2"
"""


def struck(running: mesh.Mesh, strike: signal.Signals) -> dict[str, int]:
    """Calls by status code while one worker is struck."""
    payloads = [embed_pb2.EmbedRequest(texts=[text]).SerializeToString() for text in texts("short", 4000)]
    victim = running.worker_pids()[0]
    timer = threading.Timer(BEFORE, os.kill, (victim, strike))
    timer.start()
    _, _, codes, _ = _core.load(running.address, PATH, payloads, clients=CLIENTS, duration_s=SECONDS)
    timer.join()
    names = {code.value[0]: code.name for code in grpc.StatusCode}
    return {names.get(code, "no answer"): count for code, count in codes.items()}


def outage(running: mesh.Mesh) -> tuple[float, float, bool]:
    """Seconds from SIGKILL of the only worker to the next answer, the longest a failure took to say when to come back,
    and whether all failures did."""
    with waypost.Client(running.address, timeout=1.0, options=[("grpc.enable_retries", 0)]) as client:
        client.embed(["warm"])
        os.kill(running.worker_pids()[0], signal.SIGKILL)
        began = time.perf_counter()
        advised: list[bool] = []
        longest = 0.0
        while True:
            asked = time.perf_counter()
            try:
                client.embed(["again"])
                return time.perf_counter() - began, longest, all(advised)
            except errors.RetryableError as error:
                advised.append(error.code == grpc.StatusCode.UNAVAILABLE and error.retry_after is not None)
                longest = max(longest, time.perf_counter() - asked)
                time.sleep(min(error.retry_after or 0.1, 0.1))


def load_seconds() -> float:
    """How long a worker takes from its process to its ready line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "waypost.toml"
        path.write_text(CONFIG.format(replicas=1))
        command = [
            sys.executable,
            "-m",
            "waypost",
            "worker",
            "--config",
            path,
            "--listen",
            f"unix:{folder}/w",
            "--json",
        ]
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout and process.stdout.readline()
            spent = time.perf_counter() - began
            process.terminate()
        return spent


def main() -> None:
    """Runs the bench and prints its tables."""
    rows = []
    with mesh.running(CONFIG.format(replicas=2)) as running:
        for strike in (signal.SIGKILL, signal.SIGTERM):
            codes = struck(running, strike)
            failed = sum(count for name, count in codes.items() if name != "OK")
            rows.append([strike.name, codes.get("OK", 0), failed, ", ".join(codes)])
    table.show(
        f"One of two workers is struck, {CLIENTS} clients ({table.machine()})",
        ["signal", "answered", "failed", "codes"],
        rows,
    )
    with mesh.running(CONFIG.format(replicas=1)) as running:
        back, longest, advised = outage(running)
        load = load_seconds()
    table.show(
        "The only worker is killed",
        [
            "seconds until calls succeed",
            "a worker loads in, s",
            "longest failure, s",
            "all UNAVAILABLE with RetryInfo",
        ],
        [[f"{back:.1f}", f"{load:.1f}", f"{longest:.2f}", "yes" if advised else "no"]],
    )


if __name__ == "__main__":
    main()
