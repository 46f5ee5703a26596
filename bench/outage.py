"""What do callers of several routers notice while the Redis between them is away?

Question: three routers share one Redis, with ledger, rates of tenants, rollouts, hotset and answers.  It is away for a
while under load, once stalled (SIGSTOP) and once ended and started again.  Do calls that cost nothing go on, are those
that cost money refused and none of them made, how many calls of a tenant with a rate pass, how long after its return is
all as before, and is what was billed what the ledger says then?
The models answer in this process; that with a price counts what it bills.
Control: the same load before and after.
Measured: every call of nine clients, by when it began.

    python -m bench.outage                # 30 seconds each
    python -m bench.outage --seconds 5
"""

from __future__ import annotations

import argparse
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import waypost
from bench import processes, table
from tests.author import Author, authors
from tests.plane import Plane
from waypost import address, errors
from waypost.v1 import generate_pb2

NANOS = 10**9
"""Of a dollar."""
PROMPT_NANOS, ANSWER_NANOS, LONGEST = 1000, 2000, 100
RATE, BURST, SYNC_S = 30.0, 10, 0.2
"""Of the tenant that has a rate."""
ROUTERS, TIMEOUT_S, PAUSE_S, PATIENCE_S = 3, 20.0, 0.02, 30.0
NO_RETRIES = [("grpc.enable_retries", 0)]
ANSWER_S = 1.1
"""Within which a router hears of the store that it does not answer, with a little to spare."""
STALLED, ENDED = "stalled", "ended and started again"

ROUTER = """
[router]
instances = ["{worker}"]
# The worker is this process, which is busy calling: that it answers late is no finding here.
probe_interval_s = 10
[router.decisions]
to = "none"
[router.tiers]
enabled = false
[router.cache]
shared = true
[router.hotset]
calls_per_hour = 20
poll_s = 0.2
[router.rates]
sync_s = {sync}
[router.budget]
store = "{store}"
[[router.tenants]]
name = "rated"
calls_per_second = {rate}
burst = {burst}
[[router.tenants]]
name = "poor"
monthly_usd = {cap}
{more}
"""


class Redis:
    """A server that has what it was told on its disk, between `start` and `end`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = int(address.concrete("127.0.0.1:0").rsplit(":", 1)[1])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Returns once it listens."""
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "yes", "dir": self.folder}
        command = ["redis-server", *(word for name, value in options.items() for word in (f"--{name}", str(value)))]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.02)
        raise RuntimeError("redis-server does not listen")

    def end(self) -> None:
        """As an operator does."""
        if self._process:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait()

    def stall(self) -> None:
        """It does nothing from now on."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """It does again."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)


class Provider:
    """Counts what it bills, for answers of random length."""

    def __init__(self, author: Author) -> None:
        self.author, self.billed, self._rng = author, 0, random.Random(7)
        author.write = self._write

    def _write(self, request: generate_pb2.GenerateRequest) -> str:
        prompt, answer = self._rng.randint(1, len(request.raw)), self._rng.randint(0, request.max_tokens)
        self.author.tokens = (prompt, answer)
        self.billed += prompt * PROMPT_NANOS + answer * ANSWER_NANOS
        return "Yes."


@dataclass(frozen=True)
class Mesh:
    """Routers with one store, and a client of each."""

    redis: Redis
    provider: Provider
    routers: list[processes.Process]
    clients: list[waypost.Client]


@contextmanager
def mesh(folder: Path, cap_usd: float = 1.0, more: str = "") -> Iterator[Mesh]:
    """Three routers before one worker, with the models "free", "other", "seldom" and, for money, "paid"."""
    with ExitStack() as stack:
        redis = Redis(folder)
        redis.start()
        stack.callback(redis.end)
        plane = stack.enter_context(Plane(folder))
        price = {"cost_per_1k_tokens_usd": PROMPT_NANOS * 1000 / NANOS}
        price |= {"cost_per_1k_output_tokens_usd": ANSWER_NANOS * 1000 / NANOS}
        paid = plane.writer("paid", slots=16, queue_limit=64, **price)
        plane.worker(*map(plane.hash_model, ("free", "other", "seldom")), paid, name="w")
        (author,) = stack.enter_context(authors(paid))
        told = {"worker": f"unix:{folder}/w.sock", "store": redis.url, "sync": SYNC_S, "rate": RATE, "burst": BURST}
        config = ROUTER.format(**told, cap=cap_usd, more=more)
        routers = [stack.enter_context(processes.started("router", config)) for _ in range(ROUTERS)]
        clients = [waypost.Client(each.address, timeout=TIMEOUT_S, options=NO_RETRIES) for each in routers]
        for client in clients:
            stack.enter_context(client)
            until(lambda client=client: len(client.models()) == 4)
        yield Mesh(redis, Provider(author), routers, clients)


def until(check: Callable[[], bool]) -> float:
    """Seconds until `check` holds; what is not there yet may fail."""
    begun = time.monotonic()
    while time.monotonic() - begun < PATIENCE_S:
        with suppress(errors.WaypostError):
            if check():
                return time.monotonic() - begun
        time.sleep(0.02)
    raise RuntimeError("it did not happen")


def money(client: waypost.Client, tenant: str = "") -> tuple[int, int]:
    """Spent and held, in nano-dollars."""
    budget = client.budget(tenant)
    return round(budget.spent_usd * NANOS), round(budget.reserved_usd * NANOS)


def free(client: waypost.Client) -> object:
    """A call that costs nothing."""
    return client.embed(["Is it so?"], model="free", no_cache=True)


def paid(client: waypost.Client) -> object:
    """One that costs money."""
    return client.generate("Is it so?", model="paid", raw=True, max_tokens=LONGEST)


def rated(client: waypost.Client) -> object:
    """One of a tenant that has a rate."""
    return client.embed(["Is it so?"], model="free", no_cache=True, tenant="rated")


@dataclass(frozen=True)
class Noted:
    """A call, and how it ended."""

    kind: str
    router: int
    begun: float
    took: float
    outcome: str


ANSWERED, REFUSED = "answered", "UNAVAILABLE: the ledger"


@dataclass
class Load:
    """Three clients at each router, which call until they are stopped."""

    clients: list[waypost.Client]
    noted: list[Noted] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        kinds = (free, paid, rated)
        self._threads = [
            threading.Thread(target=self._call, args=(kind, number)) for kind in kinds for number in range(ROUTERS)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self, kind: Callable[[waypost.Client], object], number: int) -> None:
        while not self._stop.wait(PAUSE_S):
            begun = time.monotonic()
            outcome = ended(kind, self.clients[number])
            self.noted.append(Noted(kind.__name__, number, begun, time.monotonic() - begun, outcome))

    def of(self, kind: str, since: float, until: float) -> list[Noted]:
        """Calls of a kind that began in that time."""
        return [each for each in self.noted if each.kind == kind and since <= each.begun < until]


def ended(kind: Callable[[waypost.Client], object], client: waypost.Client) -> str:
    """How a call ended, in a word."""
    try:
        kind(client)
    except errors.WaypostError as error:
        subject = error.metadata.get("subject", "")
        if error.code.name == "UNAVAILABLE" and subject == "ledger":
            return REFUSED
        return f"{error.code.name} {error.reason} {subject}".strip()
    return ANSWERED


@dataclass(frozen=True)
class Result:
    """What was seen of one outage, from `gone` to `back`, within `begun` and `over`."""

    how: str
    load: Load
    begun: float
    gone: float
    back: float
    over: float
    recovered: float
    billed: int
    ledger: tuple[int, int]

    def ends(self, kind: str, since: float, until: float) -> Counter[str]:
        """How many ended how."""
        return Counter(each.outcome for each in self.load.of(kind, since, until))

    @property
    def broken(self) -> Counter[str]:
        """Calls without a price that did not end well, at any time."""
        ends = self.ends("free", self.begun, self.over)
        del ends[ANSWERED]
        return ends

    @property
    def unpaid(self) -> Counter[str]:
        """How calls ended that cost money and began while the store was away, but for those that saw its return."""
        return self.ends("paid", self.gone, self.back - ANSWER_S)

    def passed(self, since: float, until: float) -> float:
        """Calls a second of the tenant that has a rate."""
        return self.ends("rated", since, until)[ANSWERED] / (until - since)

    @property
    def slowest(self) -> float:
        """Of the calls without a price, while it was away."""
        return max(each.took for each in self.load.of("free", self.gone, self.back))

    def row(self) -> list[object]:
        """Of the table."""
        rates = [(self.begun, self.gone), (self.gone, self.back), (self.back, self.over)]
        return [
            f"{self.how}, {self.back - self.gone:.0f} s",
            f"{self.ends('free', self.begun, self.over)[ANSWERED]} / {dict(self.broken) or 0}",
            f"{self.slowest * 1e3:.0f}",
            ", ".join(f"{count} {outcome}" for outcome, count in self.unpaid.items()),
            " / ".join(f"{self.passed(*span):.1f}" for span in rates),
            f"{self.recovered:.2f}",
            f"{self.billed / NANOS:.6f} / {self.ledger[0] / NANOS:.6f} / {self.ledger[1] / NANOS:.6f}",
        ]


def outage(mesh: Mesh, how: str, seconds: float, beside: float) -> Result:
    """Takes the store away for so long under load, which lasts `beside` seconds before and after it too."""
    spent, billed = money(mesh.clients[0])[0], mesh.provider.billed
    away, back = (mesh.redis.stall, mesh.redis.go_on) if how == STALLED else (mesh.redis.end, mesh.redis.start)
    with Load(mesh.clients) as load:
        begun = time.monotonic()
        time.sleep(beside)
        away()
        gone = time.monotonic()
        time.sleep(seconds)
        at = time.monotonic()
        back()
        recovered = until(lambda: all(_paid_since(load, number, at) for number in range(ROUTERS)))
        time.sleep(beside)
        over = time.monotonic()
    until(lambda: money(mesh.clients[0])[1] == 0)
    now, held = money(mesh.clients[0])
    return Result(how, load, begun, gone, at, over, recovered, mesh.provider.billed - billed, (now - spent, held))


def _paid_since(load: Load, router: int, at: float) -> bool:
    return any(each.router == router and each.outcome == ANSWERED for each in load.of("paid", at, time.monotonic()))


def main() -> None:
    """Runs the bench and prints its table."""
    parser = argparse.ArgumentParser(description="Routers without their Redis.")
    parser.add_argument("--seconds", type=float, default=30.0, help="for which it is away")
    options, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder, mesh(Path(folder)) as running:
        results = [outage(running, how, options.seconds, options.seconds / 2) for how in (STALLED, ENDED)]
    table.show(
        f"Redis of {ROUTERS} routers away; a tenant with {RATE:g} calls a second ({table.machine()})",
        [
            "how",
            "free calls: answered / not",
            "slowest of them meanwhile, ms",
            "paid calls meanwhile",
            "rated calls/s that passed: before / meanwhile / after",
            "s until paid calls are answered again, at all",
            "billed / spent / held, $",
        ],
        [result.row() for result in results],
    )


if __name__ == "__main__":
    main()
