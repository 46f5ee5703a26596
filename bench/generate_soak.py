"""Does generation come through ten thousand requests, most of which nobody waits for to the end?

Question: after requests of mixed lengths with random cancels, deadlines and lost connections, is every slot free, is
the whole KV cache there, is memory flat, and did every stream end with a finish reason or a status?
Control: the worker's memory after the first tenth of them.
Measured: how streams ended; the worker's resident memory; at the end as many prompts at once as there are slots, each
filling its context: they must not wait, and must answer as they did before the soak.

    python -m bench.generate_soak [--requests 10000]
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence

import psutil

from bench import mesh, table
from bench.texts import WORDS
from waypost import AsyncClient, errors
from waypost.results import Generation

SLOTS, CONTEXT, CLIENTS, PARTS = 8, 512, 24, 10
LENGTHS = (1, 2, 2, 3, 4, 6, 8, 60)
"""Words of a prompt."""
SHARED = 12
"""Words that a fifth of them begin with."""
LONGEST_ANSWER = 4
FILLING = 480
"""Words of a prompt that fills a context but for an answer."""
QUEUE_S = 0.5
"""A prompt that waited longer found no slot."""
PATIENCE_S = 120
NO_END = "NO END"

CONFIG = f"""
[[workers]]
name = "writer"
[[workers.models]]
name = "smollm2"
backend = "llama"
source = "smollm2-135m-instruct"
generate = {{ slots = {SLOTS} }}
llama = {{ context = {CONTEXT} }}
"""


class Soak:
    """Requests of random kinds, one after another by every client."""

    def __init__(self, running: mesh.Mesh, client: AsyncClient) -> None:
        self._running, self._client = running, client
        self._random = random.Random(10)
        self._left = 0
        self._system = self._words(SHARED)
        self.ended: Counter[str] = Counter()

    async def run(self, requests: int) -> None:
        """So many more."""
        self._left = requests
        await asyncio.gather(*(self._one_client() for _ in range(CLIENTS)))

    async def _one_client(self) -> None:
        kinds = (self._patient, self._cancelled, self._late, self._disconnected)
        while self._left > 0:
            self._left -= 1
            kind = self._random.choices(kinds, (40, 30, 25, 5))[0]
            self.ended[f"{kind.__name__.strip('_')}: {await kind()}"] += 1

    async def _patient(self) -> str:
        return await self._read(self._client, PATIENCE_S)

    async def _cancelled(self) -> str:
        """By leaving the stream, at once or after some pieces."""
        return await self._read(self._client, PATIENCE_S, pieces=self._random.randrange(4))

    async def _late(self) -> str:
        return await self._read(self._client, self._random.uniform(0.005, 0.4))

    async def _disconnected(self) -> str:
        """The whole connection goes."""
        client = AsyncClient(self._running.address)
        reading = asyncio.create_task(self._read(client, PATIENCE_S))
        await asyncio.sleep(self._random.uniform(0, 0.3))
        await client.close()
        return await reading

    async def _read(self, client: AsyncClient, timeout: float, pieces: float = math.inf) -> str:
        """How the stream ended."""
        tokens = self._random.randint(1, LONGEST_ANSWER)
        seen, final = 0, None
        try:
            async with client.generate_stream(self._prompt(), max_tokens=tokens, raw=True, timeout=timeout) as stream:
                while seen < pieces and (chunk := await anext(stream, None)):
                    seen, final = seen + 1, chunk.final
        except errors.WaypostError as error:
            return type(error).__name__
        except asyncio.CancelledError:
            return "Cancelled"
        if final:
            return final.finish_reason
        return "left" if seen == pieces else NO_END

    def _prompt(self) -> str:
        shared = self._system if self._random.random() < 0.2 else ""
        return shared + self._words(self._random.choice(LENGTHS))

    def _words(self, count: int) -> str:
        return " ".join(self._random.choices(WORDS.split(), k=count)) + " "


async def filled(client: AsyncClient) -> list[Generation]:
    """All slots at once, each filled to the end."""
    prompts = [" ".join(random.Random(slot).choices(WORDS.split(), k=FILLING)) for slot in range(SLOTS)]
    asked = (client.generate(each, raw=True, max_tokens=4, temperature=0, timeout=PATIENCE_S) for each in prompts)
    return list(await asyncio.gather(*asked))


async def soak(running: mesh.Mesh, requests: int) -> None:
    """Runs it and prints its tables."""
    (worker,) = (psutil.Process(pid) for pid in running.worker_pids())
    memory, began = list[float](), time.perf_counter()
    async with AsyncClient(running.address) as client:
        before = await filled(client)
        load = Soak(running, client)
        for _ in range(PARTS):
            await load.run(requests // PARTS)
            memory.append(worker.memory_info().rss / 2**20)
            print(f"{sum(load.ended.values())} of {requests} requests, {memory[-1]:.0f} MiB", file=sys.stderr)
        after = await filled(client)
        (instance,) = await client.instances()
    seconds = time.perf_counter() - began
    table.show(
        f"{requests} requests by {CLIENTS} clients on {SLOTS} slots, {seconds:.0f} s ({table.machine()})",
        ["client, and how its streams ended", "streams"],
        sorted(load.ended.items()),
    )
    endless = sum(streams for how, streams in load.ended.items() if how.endswith(NO_END))
    waited = max(each.timings.queue for each in after)
    same = sum(one.text == other.text for one, other in zip(before, after, strict=True))
    table.show(
        "Afterwards",
        ["question", "answer"],
        [
            ["streams without an end", endless],
            [f"longest wait of {SLOTS} prompts that fill {SLOTS} contexts, s", f"{waited:.3f}"],
            ["of them with the same answer as before", f"{same} of {SLOTS}"],
            ["calls in flight, as the router sees it", instance.in_flight],
            ["worker's memory by tenth, MiB", ", ".join(f"{each:.0f}" for each in memory)],
        ],
    )
    if waited > QUEUE_S or instance.in_flight or endless:
        raise SystemExit("a slot, a call or an ending is missing")


def main(arguments: Sequence[str] | None = ()) -> None:
    """Starts a mesh and runs the soak."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    asked = parser.parse_args(arguments)
    with mesh.running(CONFIG) as running:
        asyncio.run(soak(running, asked.requests))


if __name__ == "__main__":
    main(None)
