"""A worker whose model writes at a pace, and fails and refuses as often, as it is told.

It computes nothing: a request takes one of its slots for a time drawn around `seconds` (Erlang of four stages, so a
little uneven).  Lines of JSON on its standard input change its pace while it serves.

    python -m bench.pacer NAME MODEL '{"seconds": 0.02}'
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from bench import processes
from services.refusal import ModelFailed
from waypost import _core

SLOTS, STAGES = 4, 4
LIMITS = {"max_receive_bytes": 1 << 20, "max_texts": 1024, "max_text_bytes": 1 << 20, "queue_limit": 4096}
GOOD, POOR = "Here is what you asked for, in a few words.", "I'm sorry, but I can't help with that."


@dataclass(frozen=True)
class Pace:
    """How a model works.

    Attributes:
        seconds: mean time of an answer.
        errors: share of the requests that fail.
        refusals: share of the others whose answer is a refusal.
    """

    seconds: float = 0.02
    errors: float = 0.0
    refusals: float = 0.0


class Pacer:
    """Answers the jobs of one model."""

    def __init__(self, pace: Pace, seed: str) -> None:
        self.pace = pace
        self.inbox = _core.Inbox()
        self._rng = random.Random(seed)
        self._slots = asyncio.Semaphore(SLOTS)

    async def serve(self) -> None:
        """Until the inbox is closed."""
        async with asyncio.TaskGroup() as tasks:
            while job := await asyncio.to_thread(self.inbox.take):
                await self._slots.acquire()
                tasks.create_task(self._work(job))

    async def _work(self, job: _core.Job) -> None:
        job.begin()
        pace = self.pace
        await asyncio.sleep(self._rng.gammavariate(STAGES, pace.seconds / STAGES))
        if self._rng.random() < pace.errors:
            job.fail(ModelFailed("as it was told to").as_json())
        else:
            job.push(POOR if self._rng.random() < pace.refusals else GOOD)
            job.finish("stop", prompt_tokens=10, completion_tokens=10)
        self._slots.release()


class Paced:
    """A pacer's process, as its bench sees it."""

    def __init__(self, name: str, pace: Pace, process: processes.Process) -> None:
        self.name, self.process, self._pace = name, process, pace

    @property
    def address(self) -> str:
        """Where it serves."""
        return self.process.address

    def change(self, **pace: float) -> None:
        """From now on it works like this."""
        self._pace = replace(self._pace, **pace)
        self.process.tell(json.dumps(asdict(self._pace)))


@contextmanager
def paced(name: str, model: str, pace: Pace = Pace()) -> Iterator[Paced]:
    """A pacer in a process of its own."""
    with processes.launched(("bench.pacer", name, model, json.dumps(asdict(pace)))) as process:
        yield Paced(name, pace, process)


def _config(name: str, model: str) -> str:
    identity = {"name": model, "version": "1", "backend": "pacer", "max_tokens": 4096, "tags": ["generate", "chat"]}
    generator = {"identity": identity, "slots": SLOTS, "queue_limit": 256, "default_max_tokens": 64}
    settings = {"instance": name, "listen": "127.0.0.1:0", "version": "0", "limits": LIMITS}
    return json.dumps(settings | {"models": [], "generators": [generator]})


def main() -> None:
    """Serves until standard input ends."""
    name, model, pace = sys.argv[1:]
    pacer = Pacer(Pace(**json.loads(pace)), name)
    worker = _core.Worker(_config(name, model), {}, {model: pacer.inbox})
    print(json.dumps({"address": worker.start()}), flush=True)
    serving = threading.Thread(target=lambda: asyncio.run(pacer.serve()))
    serving.start()
    for line in sys.stdin:
        pacer.pace = Pace(**json.loads(line))
    worker.drain(0.0)
    pacer.inbox.close()
    serving.join()


if __name__ == "__main__":
    main()
