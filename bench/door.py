"""What does another door cost?

Question: the router's CPU and the wait of one client for a vector, asked by the contract, by the contract with a token,
and by the Open Inference Protocol.
Control: the same router without tokens, called by the contract.  384-d hash vectors, which take microseconds.
Measured: wall time per call in a Rust load generator, and the router process's user + system time over the same calls.
Contenders are interleaved and medians over rounds are shown.

    python -m bench.door            # needs tritonclient, whose messages are sent
"""

from __future__ import annotations

import os
import statistics
from contextlib import ExitStack
from dataclasses import dataclass, field

from tritonclient.grpc import service_pb2

import waypost
from bench import mesh, table
from bench.texts import texts
from waypost.v1 import embed_pb2

ROUNDS, SECONDS, CLIENTS = 5, 2.0, 32
EMBED = "/waypost.v1.EmbedService/Embed"
INFER = "/inference.GRPCInferenceService/ModelInfer"
TEXT = texts("short", 1)[0]
CONFIG = """
[router.budget]
store = "memory:"
[[workers]]
name = "hash"
[[workers.models]]
name = "hash"
backend = "hash"
dimensions = 384
"""
KEYED = (
    CONFIG
    + """
[[router.tenants]]
name = "acme"
key_env = "BENCH_KEY"
role = "admin"
"""
)


@dataclass
class Contender:
    """A way in."""

    name: str
    running: mesh.Mesh
    path: str
    payload: bytes
    key: str | None = None
    cpu_us: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)

    def round(self) -> None:
        """One client, then many."""
        alone, _ = self._load(1)
        self.p50_ms.append(statistics.median(alone) * 1e3)
        before = mesh.cpu_seconds(self.running.router_pid())
        latencies, elapsed = self._load(CLIENTS)
        self.cpu_us.append((mesh.cpu_seconds(self.running.router_pid()) - before) / len(latencies) * 1e6)
        self.rate.append(len(latencies) / elapsed)

    def _load(self, clients: int) -> tuple[list[float], float]:
        found, elapsed = mesh.load(self.running.address, self.path, [self.payload], clients, SECONDS, key=self.key)
        return found.tolist(), elapsed


def asked() -> bytes:
    """A text, by the contract."""
    return embed_pb2.EmbedRequest(model="hash", texts=[TEXT]).SerializeToString()


def inferred() -> bytes:
    """The same, as a tensor."""
    tensor = service_pb2.ModelInferRequest.InferInputTensor(name="text", datatype="BYTES", shape=[1])
    raw = len(TEXT.encode()).to_bytes(4, "little") + TEXT.encode()
    request = service_pb2.ModelInferRequest(model_name="hash", inputs=[tensor], raw_input_contents=[raw])
    return bytes(request.SerializeToString())


def main() -> None:
    """Runs the bench and prints its table."""
    os.environ["BENCH_KEY"] = "bench"
    with ExitStack() as stack:
        open_ = stack.enter_context(mesh.running(CONFIG))
        keyed = stack.enter_context(mesh.running(KEYED))
        client = stack.enter_context(waypost.Client(keyed.address, key="bench"))
        token = client.create_token("acme", note="bench").secret
        contenders = [
            Contender("the contract", open_, EMBED, asked()),
            Contender("with a token", keyed, EMBED, asked(), token),
            Contender("Open Inference Protocol", open_, INFER, inferred()),
        ]
        for _ in range(ROUNDS):
            for each in contenders:
                each.round()
    header = ["way in", f"CPU us / call ({CLIENTS} clients)", "p50 ms (1 client)", f"calls/s ({CLIENTS} clients)"]
    rows = [
        [each.name, f"{statistics.median(each.cpu_us):.0f}", f"{statistics.median(each.p50_ms):.3f}",
         f"{statistics.median(each.rate):.0f}"]
        for each in contenders
    ]  # fmt: skip
    table.show(f"Doors ({table.machine()})", header, rows)


if __name__ == "__main__":
    main()
