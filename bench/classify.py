"""Does classifying stay quick under load?

Question: p99 of Classify through the router at 8 clients, at 60 % of what those clients can get out of the mesh: for a
head over the encoder, and for a head over hashed words alone.
Control: the same at one client, with nothing else going on.
Measured: latency per call, counted from when the call was due where a client is late for it.  Texts are short and all
different; the vector cache is off.

    python -m bench.classify
"""

from __future__ import annotations

import numpy as np

from bench import mesh, table
from bench.texts import texts
from waypost.v1 import classify_pb2

PATH = "/waypost.v1.ClassifyService/Classify"
ROUNDS, SECONDS, CLIENTS, SHARE = 3, 5.0, 8, 0.6
HEADS = {"minilm": "intent", "hash": "sentiment-hash"}

CONFIG = """
[[workers]]
name = "local"
vector_cache = 0
[[workers.models]]
name = "minilm"
source = "all-minilm-l6-v2"
heads = ["intent"]
[[workers.models]]
name = "hash"
backend = "hash"
heads = ["sentiment-hash"]
"""


def load(address: str, payloads: list[bytes], clients: int, rate: float | None = None) -> tuple[float, list[float]]:
    """Calls per second, and p50 and p99 in milliseconds."""
    latencies, elapsed = mesh.load(address, PATH, payloads, clients, SECONDS, rate)
    return len(latencies) / elapsed, [float(each) * 1e3 for each in np.percentile(latencies, [50, 99])]


def measured(address: str, model: str, head: str) -> list[str]:
    """One row: capacity, then latency alone and at its share of the capacity."""
    requests = [classify_pb2.ClassifyRequest(texts=[text], model=model, head=head) for text in texts("short", 4000)]
    payloads = [each.SerializeToString() for each in requests]
    found = []
    for _ in range(ROUNDS):
        capacity, full = load(address, payloads, CLIENTS)
        _, alone = load(address, payloads, 1)
        _, busy = load(address, payloads, CLIENTS, rate=SHARE * capacity)
        found.append([capacity, *alone, *full, *busy])
    return [f"{model} / {head}", *(f"{each:.2f}" for each in np.median(found, axis=0))]


def main() -> None:
    """Runs the bench and prints its table."""
    with mesh.running(CONFIG) as running:
        rows = [measured(running.address, model, head) for model, head in HEADS.items()]
    full, busy = f"{CLIENTS} clients without a pause", f"{CLIENTS} clients at {SHARE:.0%} of that"
    table.show(
        f"Classify, ms ({table.machine()})",
        [
            "model / head",
            "calls/s",
            *(f"{each}, {who}" for who in ("one client", full, busy) for each in ("p50", "p99")),
        ],
        rows,
    )


if __name__ == "__main__":
    main()
