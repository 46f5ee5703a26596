"""What does HTTP cost?

Questions: how much longer does one client wait for a vector over HTTP than over gRPC; how many requests for vectors
does the gateway answer in a second, and at how much CPU, beside LiteLLM's proxy, which others put in the same place?
Control: the same mesh called by gRPC.  It serves 384-d hash vectors, which take microseconds.  LiteLLM's upstream is
the gateway, the one thing here that speaks its protocol: its rate includes ours, but its CPU is its own process's.
Measured: wall time per call, by wrk over HTTP with kept connections and by a Rust load generator over gRPC; user and
system time of the process in question over the same calls.  Contenders are interleaved, medians over rounds shown.

    python -m bench.http            # needs wrk; LiteLLM is installed into a folder that goes again
    python -m bench.http --alone    # without LiteLLM
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bench import mesh, table
from bench.texts import texts
from waypost import address
from waypost.v1 import embed_pb2

ROUNDS, SECONDS = 6, 3
CONNECTIONS = 32
LITELLM = "litellm[proxy]>=1.80,<2"
PATIENCE_S = 120.0
TEXT = texts("short", 1)[0]
BODY = {"model": "hash", "input": TEXT}
PATH = "/v1/embeddings"
MESH = """
[http]
[[workers]]
name = "hash"
[[workers.models]]
name = "hash"
backend = "hash"
dimensions = 384
"""
PROXY = """
model_list:
  - model_name: hash
    litellm_params:
      model: openai/hash
      api_base: {url}/v1
      api_key: none
litellm_settings:
  telemetry: false
general_settings:
  dangerously_permit_weak_or_unset_master_key: true
"""


@dataclass
class Contender:
    """An endpoint for vectors, and the process that is looked at."""

    name: str
    url: str
    encoding: str
    process: psutil.Process
    rate: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)

    def body(self) -> dict[str, Any]:
        """What it is asked."""
        return BODY | {"encoding_format": self.encoding}

    def check(self) -> None:
        """It answers, with a vector of the length there is."""
        vector = _posted(self.url + PATH, self.body())["data"][0]["embedding"]
        if len(vector) not in (384, 384 * 4 * 4 // 3):
            raise RuntimeError(f"{self.name} answers {len(vector)} numbers or letters")

    def round(self) -> None:
        """All connections at once."""
        before = self._cpu()
        said = wrk(self.url + PATH, self.body(), CONNECTIONS, SECONDS)
        self.cpu_us.append((self._cpu() - before) / said["requests"] * 1e6)
        self.rate.append(said["requests"] / said["seconds"])
        self.p50_ms.append(said["p50_ms"])
        self.p99_ms.append(said["p99_ms"])

    def _cpu(self) -> float:
        return sum(mesh.cpu_seconds(each.pid) for each in (self.process, *self.process.children(recursive=True)))


def wrk(url: str, body: dict[str, Any], connections: int, seconds: int) -> dict[str, Any]:
    """What wrk measures; a failed request ends the bench."""
    script = str(Path(__file__).with_name("http_load.lua"))
    command = ("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", script, url)
    env = os.environ | {"BENCH_BODY": json.dumps(body)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    if said["failed"]:
        raise RuntimeError(f"{url}: {said['failed']} of {said['requests']} requests failed")
    return said


@contextmanager
def litellm(url: str) -> Iterator[Contender]:
    """LiteLLM's proxy before the gateway at `url`, in a virtual environment of its own."""
    own = address.concrete("127.0.0.1:0")
    with tempfile.TemporaryDirectory() as folder:
        python = _installed(Path(folder))
        config = Path(folder) / "config.yaml"
        config.write_text(PROXY.format(url=url))
        port = own.rpartition(":")[2]
        command = (str(python.with_name("litellm")), "--config", str(config), "--host", "127.0.0.1", "--port", port)
        env = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
        with (
            (Path(folder) / "log").open("w") as log,
            subprocess.Popen(command, env=env, stdout=log, stderr=log) as popen,
        ):
            try:
                made = Contender("LiteLLM, then the gateway", f"http://{own}", "float", psutil.Process(popen.pid))
                _wait(made, popen, Path(log.name))
                yield made
            finally:
                popen.terminate()
                popen.wait(timeout=60)


def _installed(folder: Path) -> Path:
    """Python with LiteLLM."""
    print(f"{LITELLM} is installed for this run …", file=sys.stderr)
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run((str(python), "-m", "pip", "install", "-q", LITELLM), check=True)
    return python


def _wait(contender: Contender, popen: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while popen.poll() is None and time.monotonic() < until:
        try:
            return contender.check()
        except OSError:
            time.sleep(0.5)
    raise RuntimeError(f"LiteLLM does not answer:\n{log.read_text()[-2000:]}")


def _posted(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


ENCODINGS = {"HTTP, base64": "base64", "HTTP, numbers": "float"}


def _wait_ms(running: mesh.Mesh, url: str, way: str, payload: bytes) -> float:
    """p50 of one client's calls."""
    if way in ENCODINGS:
        return float(wrk(url + PATH, BODY | {"encoding_format": ENCODINGS[way]}, 1, SECONDS)["p50_ms"])
    latencies, _ = mesh.load(running.address, "/waypost.v1.EmbedService/Embed", [payload], 1, SECONDS)
    return statistics.median(latencies) * 1e3


def waits(running: mesh.Mesh, url: str) -> None:
    """One client: a call over gRPC, and over HTTP."""
    payload = embed_pb2.EmbedRequest(model="hash", texts=[TEXT]).SerializeToString()
    found: dict[str, list[float]] = {way: [] for way in ("gRPC", *ENCODINGS)}
    ways = list(found)
    for _ in range(ROUNDS):
        for way in ways:
            found[way].append(_wait_ms(running, url, way, payload))
        # Nobody comes after the same neighbour each time.
        ways.append(ways.pop(0))
    grpc = statistics.median(found["gRPC"])
    rows = [
        [name, f"{statistics.median(ms):.3f}", f"{statistics.median(ms) - grpc:+.3f}"] for name, ms in found.items()
    ]
    table.show(f"One client, one text ({table.machine()})", ["way", "p50 ms", "added p50 ms"], rows)


def rates(contenders: list[Contender]) -> None:
    """Many clients."""
    for each in contenders:
        each.check()
        wrk(each.url + PATH, each.body(), CONNECTIONS, 1)
    for _ in range(ROUNDS):
        for each in contenders:
            each.round()
    header = ["gateway", "requests/s", "CPU us / request of its process", "p50 ms", "p99 ms"]
    rows = [
        [each.name, *(f"{statistics.median(of):.0f}" for of in (each.rate, each.cpu_us, each.p50_ms, each.p99_ms))]
        for each in contenders
    ]
    table.show(f"Vectors at {CONNECTIONS} connections", header, rows)


def main() -> None:
    """Runs the bench and prints its tables."""
    if not shutil.which("wrk"):
        print("wrk is not installed: nothing is measured (Debian: apt-get install wrk)", file=sys.stderr)
        return
    with ExitStack() as stack:
        running = stack.enter_context(mesh.running(MESH))
        assert running.http
        waits(running, running.http)
        gateway = running.gateway()
        contenders = [
            Contender("Waypost, base64", running.http, "base64", gateway),
            Contender("Waypost, numbers", running.http, "float", gateway),
        ]
        if "--alone" not in sys.argv:
            contenders.append(stack.enter_context(litellm(running.http)))
        rates(contenders)


if __name__ == "__main__":
    main()
