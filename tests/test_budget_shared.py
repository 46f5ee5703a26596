"""Several routers spend one budget: never more than there is, and what a dead router held counts as spent."""

from __future__ import annotations

import random
import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Event

import pytest

import waypost
from bench import processes
from tests.author import Author, authors
from tests.plane import PATIENCE_S, Plane, eventually
from waypost import errors
from waypost.v1 import generate_pb2

NANOS = 10**9
PROMPT_NANOS, ANSWER_NANOS = 1000, 2000
PRICED = {
    "cost_per_1k_tokens_usd": PROMPT_NANOS * 1000 / NANOS,
    "cost_per_1k_output_tokens_usd": ANSWER_NANOS * 1000 / NANOS,
    "slots": 16,
    "queue_limit": 64,
}
CAP, LONGEST = 10_000_000, 100
CLIENTS = 12
ROUTER = """
[router]
instances = ["{worker}"]
[router.decisions]
to = "none"
[router.tiers]
enabled = false
[router.budget]
store = "sqlite:{ledger}"
monthly_usd = {cap}
"""


class Provider:
    """Counts what it bills, for answers of random length."""

    def __init__(self, author: Author) -> None:
        self.author, self.billed = author, 0
        self.gate, self.asked = Event(), Event()
        self.gate.set()
        self._rng = random.Random(7)
        author.write = self.write

    def write(self, request: generate_pb2.GenerateRequest) -> str:
        prompt, answer = self._rng.randint(1, len(request.raw)), self._rng.randint(0, request.max_tokens)
        self.author.tokens = (prompt, answer)
        self.billed += prompt * PROMPT_NANOS + answer * ANSWER_NANOS
        self.asked.set()
        assert self.gate.wait(PATIENCE_S)
        return "Yes."


@pytest.fixture
def provider(plane: Plane) -> Iterator[Provider]:
    """A model with a price, at a worker."""
    hosted = plane.writer("hosted", **PRICED)
    plane.worker(hosted, name="w")
    with authors(hosted) as (author,):
        yield Provider(author)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@contextmanager
def two_routers(folder: Path, ledger: Path) -> Iterator[list[tuple[processes.Process, waypost.Client]]]:
    """Processes of their own with one ledger, and a client of each."""
    config = ROUTER.format(worker=f"unix:{folder}/w.sock", ledger=ledger, cap=CAP / NANOS)
    with ExitStack() as stack:
        routers = [stack.enter_context(processes.started("router", config)) for _ in range(2)]
        once = [("grpc.enable_retries", 0)]
        clients = [
            stack.enter_context(waypost.Client(each.address, timeout=PATIENCE_S, options=once)) for each in routers
        ]
        for client in clients:
            eventually(client.models)
        yield list(zip(routers, clients, strict=True))


def ask(client: waypost.Client, text: str = "Is it so?") -> str:
    return client.generate(text, raw=True, max_tokens=LONGEST).text


def money(client: waypost.Client) -> tuple[int, int]:
    """Spent and held."""
    budget = client.budget()
    return round(budget.spent_usd * NANOS), round(budget.reserved_usd * NANOS)


def spend(client: waypost.Client) -> None:
    """Until there is too little for one more call."""
    with pytest.raises(errors.QuotaExceeded):
        while True:
            ask(client)


def settled(client: waypost.Client) -> bool:
    return money(client)[1] == 0


def test_two_routers_together_bill_no_more_than_there_is_and_nearly_all_of_it(
    provider: Provider, ledger: Path, tmp_path: Path
) -> None:
    with two_routers(tmp_path, ledger) as routers:
        clients = [client for _, client in routers]
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(spend, clients * (CLIENTS // 2)))
        one = clients[0]
        most = LONGEST * ANSWER_NANOS + 400 * PROMPT_NANOS
        while eventually(lambda: settled(one)) and CAP - money(one)[0] > most:
            ask(one)
        eventually(lambda: settled(one))
        assert money(one) == money(clients[1]) == (provider.billed, 0)
    assert CAP - most <= provider.billed <= CAP


def test_what_a_killed_router_held_counts_as_spent_when_its_time_is_over(
    provider: Provider, ledger: Path, tmp_path: Path
) -> None:
    """The provider has billed it, and nobody is left to say how much."""
    provider.gate.clear()
    with two_routers(tmp_path, ledger) as ((doomed, one), (_, two)), ThreadPoolExecutor(1) as pool:
        lost = pool.submit(ask, one)
        assert provider.asked.wait(PATIENCE_S)
        doomed.strike(signal.SIGKILL)
        with pytest.raises(errors.RetryableError):
            lost.result()
        spent, held = money(two)
        assert spent == 0 and held >= provider.billed > 0
        provider.gate.set()
        pass_time(ledger)
        eventually(lambda: settled(two))
        assert money(two) == (held, 0)


def pass_time(ledger: Path) -> None:
    """As if the deadline of every call under way were long over."""
    with closing(sqlite3.connect(ledger)) as database, database:
        database.execute("UPDATE calls SET expires = 0 WHERE outcome = 0")
