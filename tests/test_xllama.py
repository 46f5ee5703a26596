"""llama-server's engine in process, with the small model; and as a hosted model's provider, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services import remote, xllama
from services.backend import Generator, ModelUnusable
from services.xllama.settings import settings
from tests.inbox import FakeInbox, answering, chat, raw
from waypost import catalogue
from waypost.config import Llama, Model
from waypost.v1.generate_pb2 import (
    TOOL_CHOICE_REQUIRED,
    GenerateServiceCountTokensRequest,
    Sampling,
    Tool,
)

xllamacpp = pytest.importorskip("xllamacpp", reason="NOT RUN: pip install 'waypost[xllama]'")

pytestmark = pytest.mark.timeout(300)

GREEDY = Sampling(temperature=0, seed=1)
SCHEMA = {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]}


@pytest.fixture(scope="module")
def gguf() -> Path:
    """The small model, in the user's own home, so that it is fetched once."""
    try:
        catalogue.pull(catalogue.find("smollm2-135m-instruct"))
    except catalogue.PullFailed as error:
        pytest.skip(f"NOT RUN: {error}")
    return catalogue.gguf("smollm2-135m-instruct")[0]


def model(source: Any, **fields: Any) -> Model:
    llama = {"context": 512, "threads": 1, "prompt_chunk": 32}
    return Model(name="small", backend="xllama", source=str(source), llama=llama, generate={"slots": 2}, **fields)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def generator(gguf: Path) -> Generator:
    return xllama.load(model(gguf), sessions=1)


@pytest.fixture
def inbox(generator: Generator) -> Iterator[FakeInbox]:
    with answering(generator) as inbox:
        yield inbox


def test_it_answers_in_pieces_with_usage(inbox: FakeInbox) -> None:
    """Chat and raw prompt at once; greedy, so that the same comes again."""
    request = chat("Say hi.", max_tokens=4, sampling=GREEDY)
    first, other = inbox.put(request), inbox.put(raw("Once upon a", max_tokens=3))
    assert len(first.wait().pieces) > 1 and other.wait().text
    assert (first.reason, first.final["completion_tokens"]) == ("length", 4)
    assert first.final["prompt_tokens"] > 20
    again = inbox.ask(request)
    assert again.text == first.text and again.final["cached_tokens"] > 0


def test_an_answer_keeps_to_its_schema_or_grammar(inbox: FakeInbox) -> None:
    """By construction, whatever the model would rather say."""
    schema = json.dumps(SCHEMA)
    answer = inbox.ask(chat("Is water wet?", json_schema=schema, max_tokens=40, sampling=GREEDY))
    assert isinstance(json.loads(answer.text)["yes"], bool)
    assert inbox.ask(chat("Is water wet?", grammar='root ::= "yes" | "no"')).text in ("yes", "no")


@pytest.mark.parametrize(
    ("request_", "kind", "words"),
    [
        (chat("word " * 600), "text_too_long", '"limit": 512'),
        (chat("x", grammar="root ::= ("), "invalid_field", "grammar"),
        (chat("x", json_schema="[]"), "invalid_field", "json_schema"),
        (chat("x", truncation=1), "not_capable", "truncation"),
        (chat("x", adapter="poet"), "adapter_not_found", "poet"),
    ],
)
def test_what_it_cannot_do_is_refused(inbox: FakeInbox, request_: Any, kind: str, words: str) -> None:
    """And the next request is answered."""
    refusal = inbox.ask(request_).refusal
    assert refusal["kind"] == kind and words in json.dumps(refusal)
    assert inbox.ask(chat("x", max_tokens=1)).reason == "length"


def test_a_tool_that_must_be_called_is_called_or_missed_aloud(inbox: FakeInbox) -> None:
    """So small a model may not manage; text is then no answer."""
    tool = Tool(name="answer", parameters_json=json.dumps(SCHEMA))
    job = inbox.ask(chat("Call answer.", tools=[tool], tool_choice=TOOL_CHOICE_REQUIRED, max_tokens=24))
    assert job.refusal.get("kind") == "model_failed" or job.reason in ("tool_calls", "length")


def test_a_caller_who_leaves_frees_the_place(inbox: FakeInbox) -> None:
    """While an answer is written, and while a prompt is read."""
    writing = [inbox.put(chat("Count to a thousand.", max_tokens=400)).wait(lambda job: job.pieces) for _ in range(2)]
    reading = inbox.put(chat("word " * 400, max_tokens=1))
    for job in writing:
        job.cancel()
    reading.wait(lambda job: job.begun).cancel()
    assert [job.wait().reason for job in (*writing, reading)] == ["cancelled"] * 3
    assert inbox.ask(chat("x", max_tokens=1)).reason == "length"


def test_tokens_are_counted_as_the_model_reads_them(inbox: FakeInbox) -> None:
    """With the chat template, or as they are."""
    request = GenerateServiceCountTokensRequest()
    request.chat.CopyFrom(chat("Say hi.").chat)
    spent = inbox.ask(chat("Say hi.", max_tokens=1)).final["prompt_tokens"]
    assert inbox.ask(request, kind="count").tokens == spent
    assert inbox.ask(GenerateServiceCountTokensRequest(raw="hi there"), kind="count").tokens == 2


def test_a_broken_file_is_found_out_at_the_start(tmp_path: Path) -> None:
    """The message names it."""
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelUnusable, match=r"broken\.gguf cannot be loaded by xllamacpp"):
        xllama.load(model(tmp_path / "broken.gguf"), sessions=1)


def test_a_hosted_model_speaks_to_a_real_server(gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """llama-server over HTTP, with its key: text, schema, raw prompt, too long a prompt, a wrong key."""
    server = xllamacpp.Server(settings(gguf, Llama(context=256, threads=1), 2, 1, "secret"))
    monkeypatch.setenv("RIGHT", "secret")
    monkeypatch.setenv("WRONG", "sekret")
    endpoint = {"base_url": f"{server.listening_address}/v1", "model": "small", "max_attempts": 1}

    def hosted(key: str) -> Generator:
        settings = endpoint | {"key_env": key}
        return remote.load(Model(name="hosted", backend="remote", remote=settings), sessions=1)  # type: ignore[arg-type]

    with answering(hosted("RIGHT")) as inbox:
        answer = inbox.ask(chat("Say hi.", max_tokens=4, sampling=GREEDY), timeout_s=60)
        assert len(answer.pieces) > 1 and answer.final["completion_tokens"] == 4, answer.refusal
        assert inbox.ask(raw("Once upon a", max_tokens=2)).reason == "length"
        structured = inbox.ask(chat("Is water wet?", json_schema=json.dumps(SCHEMA), max_tokens=40, sampling=GREEDY))
        assert isinstance(json.loads(structured.text)["yes"], bool)
        assert inbox.ask(chat("word " * 300)).refusal["kind"] == "text_too_long"
    with answering(hosted("WRONG")) as inbox:
        assert "refuses our key" in inbox.ask(chat("x")).refusal["why"]
