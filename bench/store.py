"""What does it cost to keep a row of each call, and how small are old ones?

Questions: CPU of the journal and of the writer per call; bytes of a call as lines of JSON, in the database and in
Parquet, with texts and without; how long it takes to find calls and to sum them up, before and after compaction.
The calls are made up: decisions of a mesh with nine models on twelve instances, with seeded figures; half of the calls
bring texts, which are prompts of a public data set (shared/data, router outcomes), each used once, the answer being
another prompt.
CPU is that of the process (user and system), without PostgreSQL's own; it does not depend on how busy the machine is as
much as time does.

    python -m bench.store [--calls 8500]
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench import table
from router.store import reading, retention
from router.store.cold import Cold
from router.store.feed import Feed
from router.store.journal import Journal, open_journals
from router.store.reading import Reader, Wanted
from router.store.writer import Writer
from tests import postgres
from tests.stores import empty
from waypost.config import Router
from waypost.database.tables import model_inferences

DATA = Path(__file__).parents[2] / "shared" / "data" / "router_outcomes_train.jsonl.gz"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
GAP = timedelta(seconds=7)
"""Between calls."""
BATCH = 50
"""Calls that come together."""
MODELS = ("minilm", "small", "medium", "large", "coder", "thinker", "hosted", "judge", "hash")
TIERS = ("simple", "simple", "simple", "medium", "high")
TERMS = ("latency", "queue", "fit", "health", "feedback")


class Nowhere:
    """Takes lines and forgets them."""

    def write(self, lines: list[str]) -> None:
        pass

    def forget(self, before: float) -> None:
        pass


def prompts() -> list[str]:
    """Texts of people."""
    with gzip.open(DATA, "rt") as lines:
        return random.Random(8).sample(found := [json.loads(line)["prompt"] for line in lines], len(found))


def calls(count: int, texts: list[str], chance: random.Random) -> Iterator[tuple[str, str | None]]:
    """Decisions, and of every other one what was said."""
    for number in range(count):
        line = decision(number, chance)
        yield json.dumps(line, separators=(",", ":")), said(line, texts, chance) if number % 2 else None


def decision(number: int, chance: random.Random) -> dict[str, Any]:
    """A line as the router writes it."""
    model = chance.choice(MODELS)
    candidates = [_candidate(f"{model}-{i}", chance) for i in range(chance.randint(1, 3))]
    took = round(chance.lognormvariate(5, 1), 3)
    features = {key: round(chance.random(), 4) for key in ("complexity", "quantile", "confidence", "coverage")}
    features |= {"tier": chance.choice(TIERS), "tier_reason": "head", "tags": [], "guard": None, "guard_score": None}
    return {
        "event": "decision",
        "timestamp": (BEGIN + number * GAP).isoformat().replace("+00:00", f".{chance.randrange(10**9):09d}Z"),
        "request_id": f"{chance.getrandbits(64):016x}",
        "trace_id": f"{chance.getrandbits(128):032x}",
        "method": "/waypost.v1.GenerateService/Generate",
        "tenant": f"tenant-{chance.randrange(20)}",
        "features": features,
        "route": "default",
        "hops": [{"model": model, "reason": "best_fit", "quality": round(chance.random(), 4)}],
        "model": model,
        "model_reason": "best_fit",
        "policy": "expected_completion",
        "reason": "expected_completion" if len(candidates) > 1 else "only",
        "candidates": candidates,
        "chosen": candidates[0]["instance"],
        "attempts": [{"instance": candidates[0]["instance"], "code": "OK", "latency_ms": round(took - 0.3, 3)}],
        "latency_ms": took,
        "code": "OK",
        "request_bytes": chance.randrange(40, 4000),
        "cost_usd": round(chance.random() * 1e-3, 9),
        "cache": "miss",
    }


def _candidate(instance: str, chance: random.Random) -> dict[str, Any]:
    terms = {term: round(chance.random(), 6) for term in TERMS}
    figures = {"score": round(sum(terms.values()), 6), "terms": terms, "in_flight": chance.randrange(8)}
    return {"instance": instance, **figures, "admitted": True, "propensity": round(chance.random(), 4)}


def said(line: dict[str, Any], texts: list[str], chance: random.Random) -> str:
    """What was asked and answered in a call."""
    served = {"model": line["model"], "version": "5f0c9d1e", "instance": line["chosen"]}
    usage = {"prompt_tokens": chance.randrange(900), "completion_tokens": chance.randrange(600)}
    reply = {"text": texts.pop(), "served_by": served, "timings": {"queue": chance.random()}, "usage": usage}
    known = {key: line[key] for key in ("timestamp", "request_id", "tenant", "method", "model")}
    asked = {"messages": [{"role": "user", "content": texts.pop()}], "max_tokens": 512}
    return json.dumps({"event": "payload", **known, "mode": "full", "status": "OK", "request": asked, "reply": reply})


@contextmanager
def cpu(count: int, into: dict[str, float], name: str) -> Iterator[None]:
    """Microseconds of CPU that the block takes per call."""
    begun = time.process_time()
    yield
    into[name] = (time.process_time() - begun) / count * 1e6


def write_down(journal: Journal, made: list[tuple[str, str | None]], into: dict[str, float]) -> None:
    """Into the journal, as a router does."""
    feed = Feed(journal, Router.model_validate({"payloads": {"mode": "full"}}))
    decisions, texts = feed.decisions(Nowhere()), feed.texts(Nowhere())
    with cpu(len(made), into, "journal"):
        for start in range(0, len(made), BATCH):
            part = made[start : start + BATCH]
            decisions.write([line for line, _ in part])
            texts.write([text for _, text in part if text])


def milliseconds(ask: Any) -> float:
    """The best of three."""

    def once() -> float:
        begun = time.perf_counter()
        ask()
        return (time.perf_counter() - begun) * 1e3

    return min(once() for _ in range(3))


def questions(reader: Reader, middle: datetime) -> list[float]:
    """How long it takes to find a tenant's last calls, an hour's calls, and to sum up all."""
    hour = Wanted(since=middle, until=middle + timedelta(hours=1))
    return [
        milliseconds(lambda: reader.latest(Wanted(tenants=("tenant-7",)), 20)),
        milliseconds(lambda: list(reader.all(hour))),
        milliseconds(lambda: reader.sums(Wanted(), ("model",))),
    ]


def measure(url: str, folder: Path, made: list[tuple[str, str | None]]) -> tuple[list[Any], list[list[Any]]]:
    """One database: what a call costs, and how fast questions are."""
    count, found = len(made), dict[str, float]()
    own, _ = open_journals(folder / "journal", 1 << 34)
    write_down(own, made, found)
    with empty(url) as engine:
        with cpu(count, found, "writer"):
            assert Writer(engine, own).flush()
        retention.scrub(engine, {model_inferences})
        full = reading.size(engine) / count
        reader = Reader(engine, cold := Cold(engine, folder / "cold"))
        before = questions(reader, BEGIN + count // 2 * GAP)
        with cpu(count, found, "compact"):
            moved = cold.compact(datetime.now(UTC))
        assert moved.rows == count
        after = questions(reader, BEGIN + count // 2 * GAP)
    own.close()
    sizes = [round(each / count) for each in (moved.was_bytes, full * count, moved.bytes)]
    shares = [f"{moved.share:.1%}", f"{1 - moved.bytes / count / full:.1%}"]
    return [*(found[name] for name in ("journal", "writer", "compact")), *sizes, *shares], [before, after]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=8500)
    count = parser.parse_args().calls
    texts = prompts()
    costs, speeds = [], []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = None if postgres.missing() else stack.enter_context(postgres.server(fsync=True))
        for what, wanted in (("decisions", False), ("half with texts", True)):
            made = [(line, text if wanted else None) for line, text in calls(count, [*texts], random.Random(8))]
            for kind in ("SQLite", *(("PostgreSQL",) if server else ())):
                own = folder / f"{what}-{kind}"
                url = server.database() if server and kind == "PostgreSQL" else f"sqlite:{own}/store.db"
                cost, (before, after) = measure(url, own, made)
                costs.append([what, kind, *cost])
                speeds += [[what, kind, *before], [what, "Parquet", *after]]
    print(f"{count:,} calls; {table.machine()}")
    work = ("journal, CPU µs", "writer, CPU µs", "compaction, CPU µs")
    sizes = ("JSON, B", "database, B", "Parquet, B", "less than JSON", "less than database")
    table.show("A call in the log", ("calls", "database", *work, *sizes), costs)
    table.show("Questions, ms", ("calls", "in", "20 last of a tenant", "all of an hour", "sums by model"), speeds)


if __name__ == "__main__":
    main()
