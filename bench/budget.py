"""Is a budget kept when many spend it at once, and when a router dies?

Question: three routers share one ledger and a budget of a dollar, 64 clients spend it as fast as they can.  Does what
the provider bills stay within the dollar, and how much of the dollar is used?  Then the same while one router is killed
(SIGKILL) in the middle, with money held for the calls it had: is anything that was billed missing in the ledger once
those calls have been taken for lost?
The provider is a server of ours with an OpenAI-compatible endpoint.  It counts what it bills in whole nano-dollars, for
answers of random length after random times; some requests it refuses unbilled, some it bills and then breaks off or
never answers.  It bills when a request comes, so nothing it bills can be missed.  Two `remote` workers stand before it.
Clients go on until nothing has been answered for a while; every one calls its own router, and the next where that one
is gone.

    python -m bench.budget                # SQLite, and PostgreSQL and Redis where they are installed
    python -m bench.budget --attempts 1   # the worker does not try again by itself, as it does by default
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import accumulate

import waypost
from bench import processes, table
from bench.texts import texts
from tests import postgres
from tests.scripted_provider import ScriptedProvider, Stage, chunk, refuses, usage
from waypost import address, errors

CAP_USD, CLIENTS, ROUTERS, WORKERS = 1.0, 64, 3, 2
NANOS = 10**9
"""Of a dollar."""
PROMPT_NANOS, ANSWER_NANOS = 500, 2000
"""Of one token."""
TIMEOUT_S, QUIET_S = 2.0, 4.0
"""Of a call; and without an answer, until the money is taken to be gone."""
GRACE_S = 30.0 + TIMEOUT_S + 5.0
"""After a deadline until a router takes a call for lost, and has noticed."""
KILL_AT = 0.4
"""Share of the budget that is billed when a router is killed."""
LENGTHS = (32, 64, 128, 256)
"""Most tokens of an answer."""
PAUSE_S = 0.1
NO_RETRIES = [("grpc.enable_retries", 0)]
REFUSED, LIMITED, STALLED, BROKEN, OFTEN = 0.003, 0.003, 0.006, 0.006, 0.25
"""Shares of the requests that are refused, told to wait, never answered, and broken off: usually, and at worst."""

WORKER = """
[[workers]]
name = "hosted{number}"
[[workers.models]]
name = "hosted"
backend = "remote"
cost_per_1k_tokens_usd = {prompt_usd}
cost_per_1k_output_tokens_usd = {answer_usd}
generate = {{ slots = 64, queue_limit = 256 }}
[workers.models.remote]
base_url = "{url}"
model = "simulated"
max_attempts = {attempts}
"""
ROUTER = """
[router]
instances = [{workers}]
[router.decisions]
to = "none"
[router.tiers]
enabled = false
[router.budget]
store = "{store}"
monthly_usd = {cap}
"""


@dataclass
class Bill:
    """What the provider has billed; only its own thread writes."""

    broken: float
    seed: int = 1
    nanos: int = 0
    requests: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)

    async def act(self, stage: Stage) -> object:
        """Answers a request, or does not."""
        lot, latency = self._rng.random(), self._rng.gammavariate(2.0, 0.04)
        refused, limited, stalled, broken = accumulate((REFUSED, LIMITED, STALLED, self.broken))
        if lot < limited:
            return await self._refuse(stage, 500 if lot < refused else 429)
        body = await stage.request.json()
        prompt = 8 + sum(len(message["content"].split()) for message in body["messages"])
        answer = self._rng.randint(1, body["max_tokens"])
        self.nanos += prompt * PROMPT_NANOS + answer * ANSWER_NANOS
        if lot < stalled:
            self.requests["billed and never answered"] += 1
            await asyncio.sleep(TIMEOUT_S * 2)
            return stage.hang_up()
        if lot < broken:
            self.requests["billed and broken off"] += 1
            return stage.hang_up()
        await asyncio.sleep(latency)
        self.requests["billed and answered"] += 1
        await stage.send(chunk(role="assistant", content="Yes."), chunk("stop"), usage(prompt, answer), "[DONE]")
        return stage.response

    async def _refuse(self, stage: Stage, status: int) -> object:
        self.requests["refused unbilled"] += 1
        return await refuses(status, retry_after_ms="50")(stage)


class Spree:
    """Clients that spend until nothing is answered any more."""

    def __init__(self, routers: list[processes.Process]) -> None:
        self.clients = [waypost.Client(each.address, timeout=TIMEOUT_S, options=NO_RETRIES) for each in routers]
        self._answered_at = time.monotonic()
        self._prompts = texts("mixed", 1000)

    def run(self) -> Counter[str]:
        """How the calls of all ended."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            return sum(pool.map(self._spend, range(CLIENTS)), Counter())

    def _spend(self, number: int) -> Counter[str]:
        rng, ended = random.Random(number), Counter[str]()
        router = number
        while time.monotonic() - self._answered_at < QUIET_S:
            try:
                self.clients[router % len(self.clients)].generate(
                    rng.choice(self._prompts), max_tokens=rng.choice(LENGTHS)
                )
            except errors.QuotaExceeded:
                ended["no money"] += 1
                time.sleep(PAUSE_S)
            except errors.WaypostError as error:
                ended[error.reason or error.code.name] += 1
                router += 1
                time.sleep(PAUSE_S)
            else:
                ended["answered"] += 1
                self._answered_at = time.monotonic()
        return ended


@dataclass(frozen=True)
class Ledger:
    """What the store says, in nano-dollars."""

    spent: int
    held: int

    @classmethod
    def read(cls, client: waypost.Client) -> Ledger:
        budget = client.budget()
        return cls(round(budget.spent_usd * NANOS), round(budget.reserved_usd * NANOS))


@dataclass(frozen=True)
class Result:
    """How a case came out."""

    name: str
    cap: int
    billed: int
    before: Ledger
    after: Ledger
    ended: Counter[str]

    @property
    def kept(self) -> bool:
        """Nothing beyond the cap, nothing billed that is not in the ledger."""
        return self.billed <= self.before.spent + self.before.held and self.billed <= self.after.spent <= self.cap

    def row(self) -> list[object]:
        """Of the table."""
        amounts = [self.billed, self.after.spent, self.before.held, self.after.held]
        used = f"{self.billed / self.cap:.2%} / {self.after.spent / self.cap:.2%}"
        return [
            self.name,
            *(f"{nanos / NANOS:.9f}" for nanos in amounts),
            used,
            self.ended["answered"],
            "yes" if self.kept else "**no**",
        ]


@dataclass(frozen=True)
class Terms:
    """What all cases have in common."""

    attempts: int
    cap_usd: float


def case(name: str, store: str, terms: Terms, *, kill: bool = False, broken: float = BROKEN) -> Result:
    """Spends a budget; `kill`: one router dies on the way; `broken`: so often the provider bills and breaks off."""
    bill = Bill(broken)
    with ScriptedProvider(bill.act) as provider, ExitStack() as stack:
        routers = _mesh(stack, provider.url, store, terms)
        spree = Spree(routers)
        if kill:
            stack.enter_context(_killing(routers[0], bill, terms.cap_usd * KILL_AT))
        ended = spree.run()
        before = Ledger.read(spree.clients[-1])
        after = _settled(spree.clients[-1])
        print(f"{name}: {dict(ended)}; provider: {dict(bill.requests)}", file=sys.stderr)
        return Result(name, round(terms.cap_usd * NANOS), bill.nanos, before, after, ended)


def _mesh(stack: ExitStack, url: str, store: str, terms: Terms) -> list[processes.Process]:
    prices = {"prompt_usd": PROMPT_NANOS * 1000 / NANOS, "answer_usd": ANSWER_NANOS * 1000 / NANOS}
    configs = [WORKER.format(number=number, url=url, attempts=terms.attempts, **prices) for number in range(WORKERS)]
    workers = [stack.enter_context(processes.started("worker", config)) for config in configs]
    listed = ", ".join(f'"{worker.address}"' for worker in workers)
    config = ROUTER.format(workers=listed, store=store, cap=terms.cap_usd)
    return [stack.enter_context(processes.started("router", config)) for _ in range(ROUTERS)]


@contextmanager
def _killing(router: processes.Process, bill: Bill, at_usd: float) -> Iterator[None]:
    """Kills it once so much is billed."""
    over = threading.Event()

    def watch() -> None:
        while bill.nanos < at_usd * NANOS and not over.wait(0.005):
            pass
        router.strike(signal.SIGKILL)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _settled(client: waypost.Client) -> Ledger:
    """The ledger when nothing is held any more."""
    until = time.monotonic() + GRACE_S
    while (ledger := Ledger.read(client)).held and time.monotonic() < until:
        time.sleep(PAUSE_S)
    return ledger


@contextmanager
def redis() -> Iterator[str]:
    """A server that keeps nothing."""
    port = address.concrete("127.0.0.1:0").rsplit(":", 1)[1]
    command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            _wait(("127.0.0.1", int(port)))
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()


def _wait(place: tuple[str, int]) -> None:
    for _ in range(200):
        with suppress(ConnectionRefusedError), socket.create_connection(place):
            return
        time.sleep(0.05)
    raise RuntimeError("redis-server does not listen")


def run(terms: Terms) -> list[Result]:
    """All cases."""
    with tempfile.TemporaryDirectory() as folder:
        results = [
            case("SQLite", f"sqlite:{folder}/a.db", terms),
            case("SQLite, a router killed", f"sqlite:{folder}/b.db", terms, kill=True),
            case(f"SQLite, {OFTEN:.0%} billed and broken off", f"sqlite:{folder}/c.db", terms, broken=OFTEN),
        ]
    if postgres.missing():
        print(f"{postgres.MISSING}: its rows are missing", file=sys.stderr)
    else:
        for name, kill in (("PostgreSQL", False), ("PostgreSQL, a router killed", True)):
            with postgres.server(fsync=True) as server:
                results.append(case(name, server.url, terms, kill=kill))
    if not shutil.which("redis-server"):
        print(
            "redis-server is not installed: its rows are missing (Debian: apt-get install redis-server)",
            file=sys.stderr,
        )
        return results
    for name, kill in (("Redis", False), ("Redis, a router killed", True)):
        with redis() as store:
            results.append(case(name, store, terms, kill=kill))
    return results


def main() -> None:
    """Runs the bench and prints its table."""
    parser = argparse.ArgumentParser(description="A budget under many hands.")
    parser.add_argument("--attempts", type=int, default=3, help="tries of the worker per request")
    parser.add_argument("--cap", type=float, default=CAP_USD, help="US dollars")
    options, _ = parser.parse_known_args()
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    results = run(Terms(options.attempts, options.cap))
    table.show(
        f"${options.cap:g} among {CLIENTS} clients, {ROUTERS} routers, {WORKERS} workers ({table.machine()})",
        [
            "ledger",
            "billed, $",
            "spent, $",
            "held at the end, $",
            "and after the sweep, $",
            "used: billed / spent",
            "answers",
            "kept",
        ],
        [result.row() for result in results],
    )


if __name__ == "__main__":
    main()
