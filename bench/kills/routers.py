"""Lives of a router: it is kept busy by clients, killed in the middle, and started again on what it left.

Its one worker is in this process, outlives it, and has a model with a price whose vectors are hashes, so that a call
is about as short as calls are: most of what a kill can hit is the router's own bookkeeping.
"""

from __future__ import annotations

import random
import signal
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

import grpc

from bench import processes
from bench.kills.evidence import Plan
from tests.plane import Plane, Session, eventually
from waypost.v1 import embed_pb2, embed_pb2_grpc

CLIENTS = 8
NANOS_A_TOKEN = 1000
TIMEOUT_S = 20.0
ROUTER = """
[router]
instances = ["{worker}"]
[router.cache]
enabled = false
"""


@dataclass(frozen=True)
class Answer:
    """A call that was answered: what it was called, what it cost, and when its caller had the answer."""

    request: str
    nanos: int
    at: float


@dataclass
class Life:
    """What clients saw of a router until it was killed."""

    sent: int = 0
    answers: list[Answer] = field(default_factory=list)
    killed_at: float = 0.0

    def age_ms(self, answer: Answer) -> float:
        """So long before the kill it was there."""
        return (self.killed_at - answer.at) * 1e3


class Spree:
    """Clients that call a router until it is gone; it is killed with the `last`-th answer."""

    def __init__(self, router: processes.Process, name: str, last: int) -> None:
        self.life = Life()
        self._router = router
        self._name = name
        self._last = last
        self._numbers = count()
        self._lock = Lock()

    def run(self) -> Life:
        with ThreadPoolExecutor(CLIENTS) as pool, grpc.insecure_channel(self._router.address) as channel:
            list(pool.map(self._call, [embed_pb2_grpc.EmbedServiceStub(channel)] * CLIENTS))
        self._router.popen.wait()
        return self.life

    def _call(self, stub: embed_pb2_grpc.EmbedServiceStub) -> None:
        while not self.life.killed_at:
            with self._lock:
                request = f"{self._name}-{next(self._numbers)}"
                self.life.sent += 1
            try:
                reply = stub.Embed(_asked(request), timeout=TIMEOUT_S, metadata=[("x-request-id", request)])
            except grpc.RpcError:
                if not self.life.killed_at:
                    raise
            else:
                self._answered(request, reply)

    def _answered(self, request: str, reply: embed_pb2.EmbedResponse) -> None:
        nanos = sum(text.tokens for text in reply.usage) * NANOS_A_TOKEN
        now = time.monotonic()
        with self._lock:
            self.life.answers.append(Answer(request, nanos, now))
            if len(self.life.answers) == self._last:
                self._router.strike(signal.SIGKILL)
                self.life.killed_at = time.monotonic()


def _asked(request: str) -> embed_pb2.EmbedRequest:
    """Calls differ by what they cost, too."""
    return embed_pb2.EmbedRequest(texts=["a" * (1 + zlib.crc32(request.encode()) % 24)])


class Routers:
    """Routers of one home, one after the other.

    Args:
        config: what they are beside their instances.
    """

    def __init__(self, worker: str, home: Path, config: str) -> None:
        self._toml = ROUTER.format(worker=worker) + config
        self._env = {"WAYPOST_HOME": str(home)}

    @contextmanager
    def started(self) -> Iterator[processes.Process]:
        """One that serves, and ends in good order where it was not killed."""
        with processes.started("router", self._toml, self._env) as router:
            yield router

    def killed(self, plan: Plan) -> Iterator[Life]:
        """As often as planned one is started, kept busy and killed."""
        chance = random.Random(plan.kills)
        for number in range(plan.kills):
            with self.started() as router:
                _wait(router.address, number)
                yield Spree(router, f"call-{number}", round(plan.each * chance.uniform(0.5, 1.5))).run()


@contextmanager
def routers(home: Path, config: str) -> Iterator[Routers]:
    """Routers, beside the worker that they all have."""
    with TemporaryDirectory() as folder, Plane(Path(folder)) as plane:
        model = plane.model(Session(), name="m", cost_per_1k_tokens_usd=NANOS_A_TOKEN / 1e6)
        yield Routers(plane.worker(model).address, home, config)


def _wait(address: str, number: int) -> None:
    """Until a call is answered: it has found its worker."""
    with grpc.insecure_channel(address) as channel:
        stub, tries = embed_pb2_grpc.EmbedServiceStub(channel), count()
        eventually(lambda: _is_answered(stub, f"first-{number}-{next(tries)}"))


def _is_answered(stub: embed_pb2_grpc.EmbedServiceStub, request: str) -> bool:
    try:
        stub.Embed(_asked(request), timeout=TIMEOUT_S, metadata=[("x-request-id", request)])
    except grpc.RpcError:
        return False
    return True
