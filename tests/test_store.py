"""The log of calls: from the router's lines to rows, whatever happens on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import Engine, select
from structlog.testing import capture_logs

from router.store import models, retention
from router.store.feed import Feed
from router.store.journal import Journal, open_journals, waiting
from router.store.rows import Anonymous
from router.store.writer import Writer
from tests import postgres
from tests.stores import NOW, PLENTY, calls, decision, empty, fill, journal, skip_without_postgres, texts
from waypost.config import Router
from waypost.database.tables import audit, feedback, journals, model_inferences, rollouts


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    """A PostgreSQL of this module's own."""
    skip_without_postgres()
    with postgres.server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/store.db"
    server: postgres.Server = request.getfixturevalue("server")
    return server.database()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """With its tables."""
    with empty(url) as engine:
        yield engine


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Journal]:
    """A journal."""
    with journal(tmp_path / "journal") as own:
        yield own


class Kept:
    """A sink and diary that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, lines: list[str]) -> None:
        self.lines += lines

    def forget(self, before: float) -> None:
        pass


def router(**section: Any) -> Router:
    """A configuration that keeps everything, but for what is said."""
    return Router.model_validate({"store": {"enabled": True}, "payloads": {"mode": "full"}} | section)


# ---- rows ----


def test_a_call_becomes_a_row(engine: Engine, own: Journal) -> None:
    """With what is asked for most in columns, and all of it as it was."""
    hops = [{"model": "small", "reason": "named"}, {"model": "big", "reason": "poor", "quality": 0.875}]
    said = {"hops": hops, "model": "big", "model_reason": "poor", "cache": "miss", "cost_usd": 0.25}
    line = decision("r1", features={"tier": "high"}, **said)
    own.append("c", [line])
    assert Writer(engine, own).flush()
    with engine.connect() as connection:
        row = dict(connection.execute(select(model_inferences)).mappings().one())
    decided = row.pop("decision")
    assert decided == orjson.loads(line)
    assert {key: value for key, value in row.items() if value is not None} == {
        "id": str(UUID(f"{own.name}{0:016x}")),
        "time": NOW,
        "request_id": "r1",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "tenant": "acme",
        "task": "embed",
        "method": "/waypost.v1.EmbedService/Embed",
        "model": "big",
        "instance": "local-0",
        "tier": "high",
        "reason": "poor/only",
        "status": "OK",
        "latency_ms": 3.25,
        "cost_usd": 0.25,
        "cached": "miss",
        "quality": 0.875,
    }


def test_texts_find_their_call(engine: Engine, own: Journal) -> None:
    """In the same batch, in a later one, or alone where the call's own line was lost; a name may be used again."""
    feed, writer = Feed(own, router()), Writer(engine, own)
    calls_, said = feed.decisions(Kept()), feed.texts(Kept())
    method = "/waypost.v1.GenerateService/Generate"
    calls_.write([decision("r1", method=method), decision("r1", method=method)])
    said.write([texts("r1", "first", "1")])
    assert writer.flush()
    said.write([texts("r1", "second", "2"), texts("lost", "third", "3")])
    assert writer.flush()
    wanted = ("request_id", "prompt", "answer", "version", "queue_ms", "prompt_tokens", "completion_tokens", "task")
    rows = [(row[0], row[1]["raw"], row[2]["text"], *row[3:]) for row in calls(engine, *wanted)]
    known = ("v7", 12.5, 11, 7, "generate")
    assert rows == [("r1", "first", "1", *known), ("r1", "second", "2", *known), ("lost", "third", "3", *known)]


def test_what_an_answer_came_to_is_known_without_its_texts(engine: Engine, own: Journal) -> None:
    """By the decision, which goes before the texts: those of a kept answer tell what it came to when it was made."""
    feed, writer = Feed(own, router()), Writer(engine, own)
    tokens = {"prompt": 12, "cached": 5, "completion": 3}
    known = {"version": "v8", "tokens": tokens, "queue_ms": 1.5, "method": "/waypost.v1.GenerateService/Generate"}
    feed.decisions(Kept()).write([decision("r1", **known), decision("r2", **known)])
    feed.texts(Kept()).write([texts("r1", "in the same batch")])
    assert writer.flush()
    feed.texts(Kept()).write([texts("r2", "in a later one")])
    assert writer.flush()
    wanted = ("version", "queue_ms", "prompt_tokens", "cached_tokens", "completion_tokens")
    assert calls(engine, *wanted) == [("v8", 1.5, 12, 5, 3)] * 2


def test_opinions_become_rows_but_of_tenants_without_a_log(engine: Engine, own: Journal) -> None:
    """As the router tells them."""
    feed = Feed(own, router(store={"enabled": True, "without": ("clinic",)}))
    given = {"timestamp": "2026-01-22T12:00:00Z", "model": "m", "score": 0.25}
    both = (given | {"request_id": "r1", "tenant": None}, given | {"request_id": "r2", "tenant": "clinic"})
    feed.feedback(Kept()).write([orjson.dumps(each).decode() for each in both])
    assert Writer(engine, own).flush()
    with engine.connect() as connection:
        found = connection.execute(select(feedback.c.request_id, feedback.c.tenant, feedback.c.score)).all()
    assert found == [("r1", None, 0.25)]


def test_models_that_are_served_are_known_from_then_on(engine: Engine) -> None:
    """Once each; what is known of one that was trained here stays."""
    card = {"name": "head", "version": "2", "why": "a card"}
    lineage = {"parent": "head@1", "dataset_hash": "ab", "hyperparameters": {"seed": 1}}
    models.put(engine, [{"name": "head", "version": "2", "created": NOW, "card": card} | lineage])
    served = [{"name": "head", "version": "2"}, {"name": "m", "version": "1", "backend": "hash"}]
    there: list[bool] = []
    registrar = models.Registrar(engine, lambda: served, lambda: bool(there), lambda: NOW)
    registrar.look()
    assert len(models.versions(engine)) == 1
    there.append(True)
    for more in ({"name": "m", "version": "2"}, {"name": "m", "version": "3"}):
        served.append(more)
        registrar.look()
    found = {(row["name"], row["version"]): row["card"] for row in models.versions(engine)}
    assert found[("head", "2")] == card
    assert found[("m", "1")] == served[1]
    assert set(found) == {("head", "2"), ("m", "1"), ("m", "2"), ("m", "3")}


def test_changes_and_rollouts_become_rows(engine: Engine, own: Journal) -> None:
    """Of a rollout only what changed, and once, whichever routers saw it."""
    who = {"tenant": "acme", "role": "admin", "token": "1f0c"}
    changed = {"timestamp": "2026-01-22T12:00:00Z", "who": who, "from": "10.0.0.7:1", "door": "front"}
    own.append("a", [orjson.dumps(changed | {"method": "M", "outcome": "OK", "detail": "made"}).decode()])
    moved = {"name": "r", "revision": 2, "state": "running", "step": 1, "reason": "no worse"}
    at = {"timestamp": "2026-01-22T12:00:00+00:00"}
    seen = at | {"rollout": moved, "verdict": {}}
    own.append("r", [orjson.dumps(each).decode() for each in (at | {"rollout": moved}, at | {"rollout": moved}, seen)])
    given = at | {"request_id": "r1", "tenant": "acme", "model": "m", "score": 0.5}
    own.append("f", [orjson.dumps(given).decode()])
    assert Writer(engine, own).flush()
    with engine.connect() as connection:
        assert connection.execute(select(audit.c.tenant, audit.c.origin, audit.c.detail)).all() == [
            ("acme", "10.0.0.7:1", "made")
        ]
        assert connection.execute(select(rollouts.c.revision, rollouts.c.rollout)).all() == [(2, moved)]
        assert connection.execute(select(feedback.c.request_id, feedback.c.score)).all() == [("r1", 0.5)]


def test_a_row_that_the_database_refuses_is_left_out_alone(engine: Engine, own: Journal) -> None:
    """And so is a line that cannot be read; both are said."""
    good = [decision(f"r{number}") for number in range(5)]
    own.append("c", [*good, "no JSON", decision("nul\0")])
    # A revision that no column can hold.
    rollout = {"name": "r", "revision": 1 << 62, "state": "running", "step": 1 << 40, "reason": ""}
    own.append("r", [orjson.dumps({"timestamp": "2026-01-22T12:00:00Z", "rollout": rollout}).decode()])
    own.append("c", [decision("last")])
    with capture_logs() as logs:
        assert Writer(engine, own).flush()
    assert calls(engine, "request_id") == ["r0", "r1", "r2", "r3", "r4", "nul\ufffd", "last"]
    assert "lines of the store unreadable" in {each["event"] for each in logs}


# ---- who is in it ----


def test_of_tenants_without_a_log_nothing_is_written(engine: Engine, own: Journal) -> None:
    """Neither rows nor anything in the journal; what went to the decision log before still does."""
    feed, log, diary = Feed(own, router(store={"enabled": True, "without": ("clinic",)})), Kept(), Kept()
    feed.decisions(log).write([decision("r1", tenant="clinic"), decision("r2", error='"tenant":"clinic"')])
    feed.texts(diary).write([texts("r1", "ill", tenant="clinic")])
    assert (len(log.lines), len(diary.lines)) == (2, 1)
    assert own.read(0, 10)[0][0].line.decode().count("r2") == 1
    assert Writer(engine, own).flush()
    assert calls(engine, "request_id") == ["r2"]


def test_an_anonymous_log_names_nobody(url: str, tmp_path: Path) -> None:
    """Not in any column, nor in the file; equal names have equal hashes, and texts are redacted."""
    with empty(url) as engine, journal(tmp_path / "journal") as own:
        feed = Feed(own, router())
        method = "/waypost.v1.GenerateService/Generate"
        feed.decisions(Kept()).write([decision("eve-1", method=method, error="eve said"), decision("eve-2")])
        feed.texts(Kept()).write([texts("eve-1", "write to eve@example.com")])
        assert Writer(engine, own, hide=Anonymous(b"key")).flush()
        hidden = Anonymous(b"key")
        assert calls(engine, "tenant", "request_id", "trace_id", "error", "payload_mode") == [
            (hidden.name("acme"), hidden.name("eve-1"), None, None, "redacted"),
            (hidden.name("acme"), hidden.name("eve-2"), None, None, None),
        ]
        everything = repr(calls(engine, *(column.name for column in model_inferences.columns)))
        assert [word for word in ("acme", "eve-", "eve said", "eve@") if word in everything] == []
        assert "write to [EMAIL]" in everything


# ---- what is removed ----


def test_a_tenant_is_forgotten(engine: Engine, tmp_path: Path) -> None:
    """And nobody else."""
    fill(engine, tmp_path / "journal", *(decision(f"r{i}", tenant=("acme", "eve")[i % 2]) for i in range(9)))
    assert retention.forget(engine, ["eve"]) == 4
    assert calls(engine, "tenant") == ["acme"] * 5


# ---- what goes wrong ----


def test_lines_wait_for_a_database_that_is_away(tmp_path: Path) -> None:
    """And are there once it is back."""
    skip_without_postgres()
    with postgres.server() as server, journal(tmp_path / "journal") as own, empty(server.url) as engine:
        writer = Writer(engine, own)
        own.append("c", [decision("before")])
        assert writer.flush()
        server.kill()
        own.append("c", [decision("meanwhile")])
        with capture_logs() as logs:
            assert not writer.flush()
        assert [each["event"] for each in logs] == ["store away"]
        server.start()
        assert writer.flush()
        assert calls(engine, "request_id") == ["before", "meanwhile"]


def test_a_line_read_twice_is_one_row(engine: Engine, own: Journal) -> None:
    """A commit may count though nobody heard of it."""
    own.append("c", [decision("r1"), decision("r2")])
    assert Writer(engine, own).flush()
    with engine.begin() as connection:
        connection.execute(journals.delete())
    assert Writer(engine, own).flush()
    assert calls(engine, "request_id") == ["r1", "r2"]


def test_the_writer_ends_when_all_is_written(engine: Engine, tmp_path: Path) -> None:
    """Also what came after it was asked to stop, as long as somebody still fed it; its journal is gone then."""
    own, _ = open_journals(tmp_path / "journal", PLENTY)
    writer, stop = Writer(engine, own, flush_s=0.01), threading.Event()
    writer.expect()
    thread = threading.Thread(target=writer.run, args=(stop,))
    thread.start()
    with writer.feeding():
        stop.set()
        own.append("c", [decision("late")])
    thread.join()
    assert calls(engine, "request_id") == ["late"]
    assert waiting(tmp_path / "journal") == {}
