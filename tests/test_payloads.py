"""What is kept of what callers say and are told: by mode, by tenant, by call, for how long."""

from __future__ import annotations

import json
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import struct_pb2
from structlog.testing import capture_logs

from router import payload_texts, payloads, rollout_jobs
from router.payloads import Teller
from tests.author import authors
from tests.plane import Node, Plane, Session, embed, eventually, hints
from tests.test_slices import begin
from waypost import places
from waypost.config import Router
from waypost.v1 import embed_pb2, generate_pb2, generate_pb2_grpc, retrieve_pb2

MAIL = "eve@example.com"
ASKED = f"Write to {MAIL} soon"
KEY = b"k" * 32


def ask(text: str = ASKED, **fields: Any) -> generate_pb2.GenerateRequest:
    return generate_pb2.GenerateRequest(raw=text, **fields)


def framed(*messages: Any) -> bytes:
    """As they are on the wire."""
    encoded = [message.SerializeToString() for message in messages]
    return b"".join(b"\0" + len(each).to_bytes(4) + each for each in encoded)


def payload(request: Any, *replies: Any, method: str = "GenerateService/Generate", **fields: Any) -> dict[str, Any]:
    """A call as the core hands it out."""
    known = {"request_id": "r1", "tenant": "acme", "model": "m", "mode": "full", "status": "OK", "timestamp": 1e9}
    said = {"request": framed(request), "reply": framed(*replies), "request_cut": False, "reply_cut": False}
    return known | {"method": f"/waypost.v1.{method}"} | said | fields


def told(mode: str, request: Any, *replies: Any, room: int = 65536, **fields: Any) -> dict[str, Any]:
    """The line of a call."""
    return Teller(KEY, room).line(payload(request, *replies, mode=mode, **fields))


class FakeCore:
    """Hands out the calls it was given, in batches."""

    def __init__(self, *batches: list[dict[str, Any]], dropped: int = 0) -> None:
        self._batches, self._dropped = list(batches), dropped

    def next_payloads(self, max: int, timeout_s: float) -> list[dict[str, Any]]:
        return self._batches.pop(0) if self._batches else []

    def dropped_payloads(self) -> int:
        return self._dropped


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Waypost's home."""
    monkeypatch.setenv("WAYPOST_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def drained(config: Router, core: Any) -> list[dict[str, Any]]:
    """The lines in the file once all calls are written."""
    stop = threading.Event()
    stop.set()
    payloads.job(config, core)(stop)
    path = places.log("payloads")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def keeping(mode: str, **tenants: str) -> Router:
    """A configuration where tenants have it otherwise."""
    listed = [{"name": name, "payloads": own} for name, own in tenants.items()]
    return Router.model_validate({"payloads": {"mode": mode}, "tenants": listed})


def core_part(config: Router) -> dict[str, Any]:
    """What the core is told of it."""
    return {
        "payloads": {"mode": config.payloads.mode},
        "tenants": [{"name": each.name, "payloads": each.payloads} for each in config.tenants],
    }


def everything(folder: Path) -> bytes:
    """All that any file of a folder has in it."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def mesh(plane: Plane) -> Iterator[Callable[..., Node]]:
    """Makes a router before a model that repeats what it is asked."""
    writer = plane.writer("w", slots=8)

    def start(config: Router, **own: Any) -> Node:
        return plane.router(plane.worker(writer, name="a"), **core_part(config) | own)

    with authors(writer) as (author,):
        author.write = lambda request: f"You said: {request.raw}"
        yield start


# Modes


@pytest.mark.parametrize("mode", ["hash", "redacted", "full"])
def test_a_call_is_one_line_with_what_its_mode_allows(mode: str, mesh: Callable[..., Node], home: Path) -> None:
    """By a real router and worker, in a file of its user alone."""
    config = keeping(mode)
    router = mesh(config)
    router.call(ask())
    (line,) = eventually(lambda: drained(config, router.core))
    assert (line["event"], line["mode"], line["model"], line["status"]) == ("payload", mode, "w", "OK")
    assert stat.S_IMODE(places.log("payloads").stat().st_mode) == 0o600
    texts = [line["request"]["raw"], line["reply"]["text"]]
    if mode == "hash":
        assert [text["bytes"] for text in texts] == [len(ASKED), len(ASKED) + 10]
        assert stat.S_IMODE((home / "payloads.key").stat().st_mode) == 0o600
    else:
        asked = ASKED if mode == "full" else "Write to [EMAIL] soon"
        assert texts == [asked, f"You said: {asked}"]
    assert (MAIL.encode() in everything(home)) == (mode == "full")


def test_nothing_is_kept_by_default(mesh: Callable[..., Node], home: Path) -> None:
    """Not even that there was a call."""
    router = mesh(Router())
    router.call(ask())
    assert drained(Router(), router.core) == [] and not (home / "payloads.key").exists()


def test_tenants_have_their_own_mode(mesh: Callable[..., Node], home: Path) -> None:
    """Whoever has none has that of all."""
    config = keeping("redacted", silent="off", open="full")
    router = mesh(config)
    for tenant in ("silent", "open", "other"):
        router.call(ask(route=hints(tenant=tenant)))
    lines = eventually(lambda: drained(config, router.core))
    assert {line["tenant"]: line["mode"] for line in lines} == {"open": "full", "other": "redacted"}


def test_a_stream_is_one_answer(mesh: Callable[..., Node], home: Path) -> None:
    """Its pieces are put together before anything is looked for in them."""
    config = keeping("redacted")
    router = mesh(config)
    stub = generate_pb2_grpc.GenerateServiceStub(router.channel)
    pieces = list(stub.GenerateStream(generate_pb2.GenerateStreamRequest(request=ask()), timeout=20))
    (line,) = eventually(lambda: drained(config, router.core))
    assert "".join(piece.text for piece in pieces) == f"You said: {ASKED}"
    assert line["reply"]["text"] == "You said: Write to [EMAIL] soon"
    assert line["request"]["raw"] == "Write to [EMAIL] soon"


def test_an_address_in_two_pieces_is_found() -> None:
    """As models write it."""
    pieces = [generate_pb2.GenerateStreamResponse(text=text) for text in ("Write to eve@exa", "mple.com soon")]
    request = generate_pb2.GenerateStreamRequest(request=ask("q"))
    line = told("redacted", request, *pieces, method="GenerateService/GenerateStream")
    assert line["reply"]["text"] == "Write to [EMAIL] soon"


def test_both_directions_of_a_stream_are_kept(plane: Plane, home: Path) -> None:
    """Each message of them."""
    config = keeping("full")
    router = plane.router(plane.worker(plane.hash_model()), **core_part(config))
    list(router.stream(iter([embed("a", "b"), embed("c")])))
    (line,) = eventually(lambda: drained(config, router.core))
    assert [each["texts"] for each in line["request"]] == [["a", "b"], ["c"]]
    assert [each["vectors"] for each in line["reply"]] == [{"bytes": 128}, {"bytes": 64}]


def test_a_long_stream_is_cut_and_says_so(plane: Plane, home: Path) -> None:
    """Whole messages stay."""
    config = keeping("full")
    part = core_part(config)
    part["payloads"]["max_text_bytes"] = 100
    router = plane.router(plane.worker(plane.hash_model()), **part)
    list(router.stream(iter([embed("x" * 40) for _ in range(9)])))
    (line,) = eventually(lambda: drained(config, router.core))
    assert line["request_cut"] and line["reply_cut"] and len(line["request"]) == 2


def test_a_call_that_fails_is_kept_and_one_that_is_refused_at_the_door_is_not(plane: Plane, home: Path) -> None:
    """The door's: without a key, or caught by the guard."""
    config = keeping("full")
    worker = plane.worker(plane.hash_model())
    tenants = [{"name": "acme", "key": "s3cret"}]
    router = plane.router(worker, **core_part(config) | {"tenants": tenants})
    assert router.failure(embed("unseen")).reason == "UNAUTHENTICATED"
    call = router.start(embed("seen", model="none"), metadata=[("authorization", "Bearer s3cret")])
    assert call.exception()
    (line,) = eventually(lambda: drained(config, router.core))
    assert (line["status"], line["request"]["texts"]) == ("NOT_FOUND", ["seen"])


def test_an_answer_from_the_cache_is_kept_like_any_other(plane: Plane, home: Path) -> None:
    """Twice asked, twice told."""
    config = keeping("full")
    router = plane.router(plane.worker(plane.hash_model()), cache={}, **core_part(config))
    for _ in range(2):
        router.call(embed("a"))
    assert router.status()["cache"]["hits"] == 1
    lines = eventually(lambda: drained(config, router.core))
    assert [line["reply"]["vectors"]["bytes"] for line in lines] == [64, 64]


# Texts of all kinds


def test_every_text_of_a_request_is_treated() -> None:
    """Tools, schemas, stop strings, sessions, documents and what belongs to them."""
    tool = generate_pb2.Tool(name="mail", description=f"to {MAIL}", parameters_json=json.dumps({"default": MAIL}))
    called = generate_pb2.ToolCall(id="c1", name="mail", arguments_json=json.dumps({"to": MAIL}))
    message = generate_pb2.ChatMessage(role="user", content=ASKED, tool_calls=[called])
    chat = generate_pb2.Prompt(messages=[message])
    fields = {"tools": [tool], "json_schema": json.dumps({"const": MAIL}), "stop": [MAIL], "grammar": MAIL}
    request = generate_pb2.GenerateRequest(chat=chat, route=hints(session=MAIL, tenant="acme"), **fields)
    document = retrieve_pb2.Document(id=MAIL, text=ASKED, metadata=struct_pb2.Struct())
    document.metadata.update({"by": {MAIL: [MAIL]}})
    upsert = retrieve_pb2.UpsertDocumentsRequest(namespace="n", documents=[document])
    stored = retrieve_pb2.UpsertDocumentsResponse(added=1)
    for mode in ("hash", "redacted"):
        lines = [
            told(mode, request, generate_pb2.GenerateResponse(text=ASKED)),
            told(mode, upsert, stored, method="RetrieveService/UpsertDocuments"),
        ]
        assert "example" not in json.dumps(lines)
        assert lines[0]["request"]["chat"]["messages"][0]["role"] == "user"
        assert lines[0]["request"]["route"]["tenant"] == "acme"


def test_what_is_in_a_name_s_place_is_a_text_where_it_is_no_name() -> None:
    """Callers write into these, too."""

    def kept(mode: str, model: str) -> Any:
        return told(mode, ask("q", model=model), generate_pb2.GenerateResponse())["request"]["model"]

    assert kept("hash", "writer@canary") == "writer@canary"
    assert set(kept("hash", "about my illness")) == {"sha256", "bytes"}
    assert kept("redacted", MAIL) == "[EMAIL]"


@pytest.mark.parametrize(
    "hidden", ['{"to": "eve\\u0040example.com"}', '[{"pan": 4111111111111111}]', '{"password": "hunter22"}']
)
def test_json_hides_nothing_behind_escapes_and_numbers(hidden: str) -> None:
    """It is looked at as what it says."""
    left = payload_texts.redacted(hidden)
    assert not any(secret in left for secret in ("example", "4111", "hunter22")) and json.loads(left)


def test_equal_texts_have_equal_hashes_that_need_the_key_to_be_guessed() -> None:
    """Another home's differ."""
    request, reply = ask("yes"), generate_pb2.GenerateResponse(text="yes")
    line = told("hash", request, reply)
    assert line["request"]["raw"] == line["reply"]["text"]
    other = Teller(b"o" * 32, 100).line(payload(request, reply, mode="hash"))
    assert other["request"]["raw"] != line["request"]["raw"]


def test_tokens_are_counted_since_they_are_the_text() -> None:
    """In every mode."""
    logprobs = [generate_pb2.TokenLogprob(token=7, text=b"eve")] * 3
    sampling = generate_pb2.Sampling(logit_bias={7: 1.0})
    line = told("full", ask(sampling=sampling), generate_pb2.GenerateResponse(logprobs=logprobs))
    assert (line["reply"]["logprobs"], line["request"]["sampling"]["logit_bias"]) == (3, 1)


def test_long_texts_are_cut_after_they_were_redacted() -> None:
    """Of a whole text half an address is never left, of a beginning its end is held back."""
    request = embed_pb2.EmbedRequest(texts=["a" * 9, f"{'b' * 5} {MAIL}", "more"])
    line = told("redacted", request, embed_pb2.EmbedResponse(), method="EmbedService/Embed", room=18)
    assert (line["request"]["texts"], line["request_cut"]) == (["a" * 9, "bbbbb [EM", ""], True)
    piece = generate_pb2.GenerateStreamResponse(text="a " * 200 + "eve@exam")
    stream = generate_pb2.GenerateStreamRequest(request=ask("q"))
    cut = told("redacted", stream, piece, method="GenerateService/GenerateStream", reply_cut=True)
    assert cut["reply_cut"] and "eve" not in cut["reply"]["text"] and cut["reply"]["text"]


def test_what_cannot_be_told_does_not_stop_the_rest(home: Path) -> None:
    """Nothing of it is in the line but why."""
    broken = payload(ask(), mode="redacted") | {"request": b"\0\0\0\0\4\xff\xffev"}
    unknown = payload(ask(), mode="full", method="Other/Call")
    good = payload(ask("q"), generate_pb2.GenerateResponse(text="a"))
    lines = drained(keeping("full"), FakeCore([broken, unknown], [good]))
    assert [line.get("why", "")[:15] for line in lines] == ["cannot be told:", "cannot be told:", ""]
    assert "request" not in lines[0] and lines[2]["reply"]["text"] == "a"


# Opting out


def test_no_store_leaves_nothing_anywhere(plane: Plane, home: Path) -> None:
    """No line, no copy to a canary, nothing in the router's cache or the worker's, no words of an error."""
    config = keeping("full")
    old, new, session = plane.writer("old", slots=8), plane.writer("new", slots=8), Session()
    with authors(old, new) as (stable, canary):
        workers = plane.worker(old, name="a"), plane.worker(new, name="b"), plane.worker(plane.model(session))
        store = {"budget": {"store": f"sqlite:{home / 'ledger.db'}"}}
        home.mkdir()
        router = plane.router(*workers, cache={}, **core_part(config), **store)
        begin(router, 0.000001, shadow_share=1.0)
        private = hints(no_store=True)
        greedy = generate_pb2.Sampling(temperature=0.0)
        for _ in range(2):
            assert router.call(ask("tell nobody", model="writer", route=private, sampling=greedy)).text == "by old"
            router.call(embed("nobody", route=private))
            assert router.failure(ask(model=f"nobody {MAIL}", route=private)).code
        assert (len(stable.asked), session.ran) == (2, ["nobody", "nobody"])
        assert canary.asked == [] and router.status()["cache"]["bytes"] == 0
        assert all(asked.route.no_store for asked in stable.asked)
        (home / "log").mkdir()
        (home / "log" / "decisions.jsonl").write_text("\n".join(router.core.next_events(100, 0.0)))
        assert drained(config, router.core) == []
        assert b"decision" in everything(home) and b"nobody" not in everything(home)


def test_no_store_may_be_answered_from_what_others_had_kept(plane: Plane) -> None:
    """That keeps nothing."""
    session = Session()
    router = plane.router(plane.worker(plane.model(session), vector_cache=0), cache={})
    router.call(embed("abc"))
    router.call(embed("abc", route=hints(no_store=True)))
    assert session.ran == ["abc"]


def test_a_worker_does_not_remember_the_vectors_of_no_store(plane: Plane) -> None:
    """It uses those that it has."""
    session = Session()
    worker = plane.worker(plane.model(session))
    for private in (True, True, False, True):
        worker.call(embed("abc", route=hints(no_store=private)))
    assert session.ran == ["abc"] * 3


def test_a_tenant_with_redacted_has_no_address_on_disk(plane: Plane, home: Path, tmp_path: Path) -> None:
    """In no file of the home: payloads, compared answers, decisions with their errors."""
    config = keeping("off", acme="redacted")
    old, new, stop = plane.writer("old", slots=8), plane.writer("new", slots=8), threading.Event()
    with authors(old, new) as (stable, canary):
        stable.write = canary.write = lambda request: f"Ask {MAIL}, not {request.raw}"
        workers = plane.worker(old, name="a"), plane.worker(new, name="b")
        router = plane.router(*workers, **core_part(config))
        begin(router, 0.000001, shadow_share=1.0)
        canary.write = lambda request: f"No: {MAIL}"
        router.call(ask(model="writer", route=hints(tenant="acme")))
        assert router.failure(ask(model=MAIL, route=hints(tenant="acme"))).code
        pair = eventually(lambda: router.core.next_shadows(10, 0.0))
    stop.set()
    core = _Shadows(pair)
    *_, compare = rollout_jobs.jobs(core, str, str, Router().rollout)
    compare(stop)
    (home / "log" / "decisions.jsonl").write_text("\n".join(router.core.next_events(100, 0.0)))
    assert len(drained(config, router.core)) == 2
    said = everything(home)
    assert b"[EMAIL]" in (home / "log" / "shadows.jsonl").read_bytes()
    assert b"decision" in said and b"example.com" not in said


class _Shadows:
    """Hands out these pairs."""

    def __init__(self, pairs: list[dict[str, Any]]) -> None:
        self._pairs = pairs

    def next_shadows(self, max: int, timeout_s: float) -> list[dict[str, Any]]:
        pairs, self._pairs = self._pairs, []
        return pairs

    def rollouts(self) -> str:
        return "[]"

    def set_rollout(self, rollout_json: str) -> str:
        return rollout_json


# The file


def test_calls_that_nobody_fetches_are_counted(mesh: Callable[..., Node], home: Path) -> None:
    """What waits is bounded in bytes; the log says how many are lost."""
    config = keeping("full")
    router = mesh(config, payloads={"mode": "full", "waiting_bytes": 2000})
    for _ in range(5):
        router.call(ask())
    eventually(lambda: router.core.dropped_payloads() > 0)
    with capture_logs() as logs:
        lines = drained(config, router.core)
    (said,) = [each["payloads"] for each in logs if each["event"] == "payloads dropped"]
    assert said + len(lines) == 5 and lines


def test_a_full_disk_loses_lines_and_says_so(home: Path) -> None:
    """And goes on."""

    class Full(payloads.Nowhere):
        def write(self, lines: list[str]) -> None:
            raise OSError("No space left on device")

        def forget(self, before: float) -> None:
            raise OSError("No space left on device")

    stop = threading.Event()
    stop.set()
    calls = [payload(ask(), generate_pb2.GenerateResponse())]
    with capture_logs() as logs:
        payloads.drain(FakeCore(calls, calls), Teller(KEY, 100), Full(), 30.0, stop)
    events = [each["event"] for each in logs]
    assert events == ["old payloads not removed", "payloads not written", "payloads not written"]


def test_lines_that_are_too_old_are_removed(home: Path) -> None:
    """From both files, also where nothing is kept any more."""
    now = time.time()
    old, young = (json.dumps(Teller(KEY, 9).line(payload(ask("q"), timestamp=at))) for at in (now - 9e5, now - 10))
    path = places.log("payloads")
    path.parent.mkdir(parents=True)
    path.write_text(f"half a li\n{old}\n{young}\n{young}\n")
    before = Path(f"{path}.1")
    before.write_text(f"{old}\n{old}\n")
    drained(Router.model_validate({"payloads": {"retention_days": 7.0}}), FakeCore())
    assert path.read_text() == f"{young}\n{young}\n" and not before.exists()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(each.name for each in path.parent.iterdir()) == ["payloads.jsonl"]


def test_the_file_is_kept_within_its_size(home: Path) -> None:
    """At the limit it becomes `.1`."""
    diary = payloads.File(places.log("payloads"), 4)
    for line in ("a", "b", "c"):
        diary.write([line])
    assert places.log("payloads").read_text() == "c\n"
    assert Path(f"{places.log('payloads')}.1").read_text() == "a\nb\n"


def test_the_key_is_made_once(home: Path) -> None:
    """Of this user alone."""
    assert payloads.home_key() == payloads.home_key() and len(payloads.home_key()) == 32
    assert stat.S_IMODE((home / "payloads.key").stat().st_mode) == 0o600
    assert [each.name for each in home.iterdir()] == ["payloads.key"]


def test_to_none_keeps_no_file(home: Path) -> None:
    """Though calls are captured."""
    config = Router.model_validate({"payloads": {"mode": "full", "to": "none"}})
    assert drained(config, FakeCore([payload(ask())])) == [] and not home.exists()
