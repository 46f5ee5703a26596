"""The engine on the embedded generator: real steps of llama.cpp, called as a client would."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.llama.adapters import Adapters
from services.llama.chat import Chat
from services.llama.engine import Batch, Engine
from services.llama.grammar import Grammars
from services.llama.library import api
from services.llama.model import Model
from services.llama.prompt import Parts
from services.llama.settings import Settings
from tests.plane import LIMITS, PATIENCE_S, Node, eventually
from waypost import _core
from waypost.v1 import common_pb2, generate_pb2, generate_pb2_grpc

SLOTS, CONTEXT, CHUNK = 8, 768, 64
SETTINGS = Settings(threads=2, kv_type="f16")
PROMPTS = (
    "The capital of France is",
    "Once upon a time there was a small house by the sea, and in it",
    "Water boils at",
    "def fibonacci(n):\n    ",
    "The three primary colours are",
    "My favourite season is winter because",
    "In 1969 the first people landed on",
    "A good recipe for bread begins with",
)

pytestmark = pytest.mark.timeout(300)


class Running:
    """A worker whose only model is the real one; it ends with the test."""

    def __init__(self, model: Model, folder: Path, adapters: Adapters | None = None) -> None:
        chat = Chat(model.template, bos=model.bos_text, eos=model.eos_text, control=model.control_texts)
        self.model = model
        self.engine = Engine(Parts(model, chat, Grammars(model), adapters or Adapters(model, {}), 16), CHUNK, 0.4)
        self.inbox = _core.Inbox()
        identity = {"name": "smol", "version": "1", "backend": "llama", "max_tokens": model.context}
        generator = {"identity": identity, "slots": model.slots, "queue_limit": 64, "default_max_tokens": 16}
        config = {"instance": "w", "listen": f"unix:{folder}/w.sock", "version": "0", "limits": LIMITS}
        self.node = Node("w", _core.Worker(json.dumps(config | {"generators": [generator]}), {}, {"smol": self.inbox}))
        self._thread = threading.Thread(target=self.engine.answer, args=(self.inbox,))
        self._thread.start()

    def close(self) -> None:
        self.node.close()
        self.inbox.close()
        self._thread.join(PATIENCE_S)

    def stream(self, request: generate_pb2.GenerateRequest) -> Any:
        wrapped = generate_pb2.GenerateStreamRequest(request=request)
        return generate_pb2_grpc.GenerateServiceStub(self.node.channel).GenerateStream(wrapped, timeout=120)

    def all(self, requests: Sequence[generate_pb2.GenerateRequest]) -> list[generate_pb2.GenerateResponse]:
        """The answers to requests sent at once."""
        started = [self.node.start(request, 120) for request in requests]
        return [call.result() for call in started]

    def cached(self) -> list[int]:
        """Tokens that llama.cpp itself has for each slot."""
        most = api().llama_memory_seq_pos_max
        return [most(self.model.memory, slot) + 1 for slot in range(self.model.slots)]

    def idle(self) -> bool:
        """Every slot is free, nobody waits, and both sides agree on what is in the cache."""

        def settled() -> bool:
            slots = self.engine.core.slots()
            quiet = not any(busy for _, busy in slots) and self.engine.core.waiting() == 0
            return quiet and self.node.waiting() == 0 and [known for known, _ in slots] == self.cached()

        return bool(eventually(settled))


@pytest.fixture(scope="module")
def model(smollm2: Path) -> Iterator[Model]:
    with closing(Model(smollm2, SETTINGS, SLOTS, CONTEXT)) as model:
        yield model


@pytest.fixture
def running(model: Model, tmp_path: Path) -> Iterator[Running]:
    api().llama_memory_clear(model.memory, True)
    with closing(Running(model, tmp_path)) as running:
        yield running


@pytest.fixture(scope="module")
def alone(smollm2: Path) -> Iterator[Model]:
    """llama.cpp with one sequence."""
    with closing(Model(smollm2, SETTINGS, 1, CONTEXT)) as model:
        yield model


def greedy(prompt: str, max_tokens: int = 24, **fields: Any) -> generate_pb2.GenerateRequest:
    sampling = generate_pb2.Sampling(temperature=0.0)
    return generate_pb2.GenerateRequest(raw=prompt, max_tokens=max_tokens, sampling=sampling, **fields)


@dataclass(frozen=True)
class Said:
    """A token of llama.cpp's, and by how much its logit was above the next one's."""

    token: int
    margin: float


def by_llama_cpp(model: Model, prompt: str, max_tokens: int = 24) -> list[Said]:
    """What llama.cpp continues with, its whole prompt read in one step."""
    api().llama_memory_clear(model.memory, True)
    tokens, batch = list(model.tokenize(prompt, special=True, bos=True)), Batch(CONTEXT)
    written: list[Said] = []
    computed = 0
    while len(written) < max_tokens:
        rows = len(tokens) - computed
        batch.tokens[:rows], batch.slots[:rows] = tokens[computed:], 0
        batch.positions[:rows], batch.logits[:rows] = np.arange(computed, len(tokens)), 0
        batch.logits[rows - 1] = 1
        assert api().llama_decode(model.ctx, batch.of(rows)) == 0
        computed = len(tokens)
        logits = np.ctypeslib.as_array(api().llama_get_logits(model.ctx), (model.vocab_size,))
        second, first = np.sort(logits)[-2:]
        token = int(logits.argmax())
        if token in model.end_tokens():
            break
        written.append(Said(token, float(first - second)))
        tokens.append(token)
    return written


def drawn(reply: generate_pb2.GenerateResponse) -> list[int]:
    """Tokens of an answer that came with log probabilities."""
    return [each.token for each in reply.logprobs]


def test_greedy_answers_are_llama_cpp_s_alone_and_while_seven_others_run(running: Running, alone: Model) -> None:
    """Token by token when alone.  Beside others llama.cpp multiplies several rows with another kernel, whose rounding
    may decide where the two likeliest tokens are all but equal: only there may an answer depart."""
    requests = [greedy(prompt, top_logprobs=0) for prompt in PROMPTS]
    expected = [by_llama_cpp(alone, prompt) for prompt in PROMPTS]
    one_by_one = [drawn(running.all([request])[0]) for request in requests]
    assert one_by_one == [[each.token for each in said] for said in expected]
    together = [drawn(reply) for reply in running.all(requests)]
    margins = [said[at].margin for said, got in zip(expected, together, strict=True) for at in departure(said, got)]
    assert len(margins) <= 2
    assert max(margins, default=0.0) < 0.3
    assert running.idle()


def departure(expected: Sequence[Said], got: Sequence[int]) -> list[int]:
    """Where two answers part, if they do."""
    pairs = enumerate(zip(expected, got, strict=False))
    return [at for at, (said, token) in pairs if said.token != token][:1]


def test_a_known_beginning_changes_nothing_but_the_time(running: Running) -> None:
    """Kept in place, and copied from a slot in use."""
    system = "You are a careful assistant who answers in one short sentence. " * 6
    fresh = [running.all([greedy(system + prompt)])[0] for prompt in PROMPTS[:3]]
    assert fresh[0].usage.cached_tokens == 0
    again = running.all([greedy(system + prompt) for prompt in PROMPTS[:3] * 2])
    assert [reply.text for reply in again] == [reply.text for reply in fresh] * 2
    assert all(reply.usage.cached_tokens >= 60 for reply in again)
    assert running.idle()


def test_a_long_prompt_holds_nobody_up_for_its_whole_length(running: Running) -> None:
    """Others get tokens while it is being read."""
    writing = running.stream(greedy("Count: one, two, three,", 200))
    next(writing)
    long = running.node.start(greedy("word " * 600, 1), 120)
    seen = 0
    while not long.done():
        seen += bool(next(writing).text)
    assert seen >= 3
    assert long.result().usage.prompt_tokens > 590
    writing.cancel()
    assert running.idle()


def test_a_cancel_and_a_disconnect_free_the_slot(running: Running) -> None:
    """While the answer is being written, and while it waits."""
    calls = [running.stream(greedy("Once upon a time", 400)) for _ in range(SLOTS + 4)]
    next(calls[0])
    for call in calls[1:]:
        call.cancel()
    running.node.channel.close()
    running.node.channel = running.node.dial()
    assert running.idle()
    assert running.all([greedy(PROMPTS[0], 4)])[0].text


def test_a_deadline_ends_an_answer_that_is_being_written(running: Running) -> None:
    """With the status that says where, and a free slot."""
    refused = running.node.failure(greedy("Once upon a time", 700), timeout=0.5)
    assert refused.code.name == "DEADLINE_EXCEEDED"
    assert running.idle()


def test_the_same_seed_gives_the_same_answer_beside_others(running: Running) -> None:
    """Another seed gives another."""

    def drawn(seed: int) -> generate_pb2.GenerateRequest:
        sampling = generate_pb2.Sampling(temperature=1.2, seed=seed)
        return generate_pb2.GenerateRequest(raw="My dog", max_tokens=12, sampling=sampling)

    first = running.all([drawn(1)])[0].text
    texts = [reply.text for reply in running.all([drawn(1), drawn(2), drawn(3)])]
    assert texts[0] == first
    assert len(set(texts)) == 3


def test_characters_of_several_tokens_come_whole(running: Running) -> None:
    """Each piece of the stream is valid text, and nothing is lost."""
    pieces = [reply.text for reply in running.stream(greedy("Emoji: 🙂 🎉 🚀 🐈 日本語 🙂 🎉 🚀 🐈 日本語 🙂 🎉", 32))]
    assert "\ufffd" not in "".join(pieces)
    assert any(ord(character) > 0x2000 for character in "".join(pieces))


def test_a_stop_string_across_tokens_ends_the_answer_before_it(running: Running) -> None:
    """Found wherever the tokens' borders are."""
    whole = running.all([greedy(PROMPTS[0])])[0].text
    stop = whole[6:14]
    cut = running.all([greedy(PROMPTS[0], stop=[stop])])[0]
    assert (cut.text, cut.finish_reason) == (whole[: whole.index(stop)], generate_pb2.FINISH_REASON_STOP)


def test_an_answer_that_fills_the_context_ends_with_length(running: Running) -> None:
    """Nothing is shifted out silently."""
    sampling = generate_pb2.Sampling(temperature=0.0, logit_bias=dict.fromkeys(running.model.end_tokens(), -100.0))
    request = generate_pb2.GenerateRequest(raw="word " * (CONTEXT - 20), max_tokens=100, sampling=sampling)
    reply = running.all([request])[0]
    assert reply.finish_reason == generate_pb2.FINISH_REASON_LENGTH
    assert reply.usage.prompt_tokens + reply.usage.completion_tokens == CONTEXT


def test_an_answer_under_a_schema_parses_beside_free_ones(running: Running) -> None:
    """Grammar and free text share a step."""
    schema = {"type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}, "warm": {"type": "boolean"}}}
    schema |= {"required": ["city", "warm"], "additionalProperties": False}
    bound = greedy("The weather as JSON: ", 60, json_schema=json.dumps(schema))
    bound_reply, free = running.all([bound, greedy(PROMPTS[0])])
    said = json.loads(bound_reply.text)
    assert said["city"] in ("Oslo", "Rome") and isinstance(said["warm"], bool)
    assert free.text == running.all([greedy(PROMPTS[0])])[0].text


def test_logprobs_are_those_of_the_model(running: Running, alone: Model) -> None:
    """Of the drawn token, which is the likeliest when greedy."""
    reply = running.all([greedy(PROMPTS[0], 3, top_logprobs=3)])[0]
    assert b"".join(each.text for each in reply.logprobs).decode() == reply.text
    for each in reply.logprobs:
        assert each.logprob == pytest.approx(each.top[0].logprob) and len(each.top) == 3
    by_llama_cpp(alone, PROMPTS[0], 1)
    logits = np.ctypeslib.as_array(api().llama_get_logits(alone.ctx), (alone.vocab_size,)).astype(np.float64)
    expected = logits.max() - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
    assert reply.logprobs[0].logprob == pytest.approx(expected, abs=0.02)


def test_a_tenant_who_sends_much_does_not_shut_out_one_who_sends_little(running: Running) -> None:
    """With all slots taken, the waiting are served in turns."""

    def of(tenant: str, number: int) -> generate_pb2.GenerateRequest:
        route = common_pb2.RouteHints(tenant=tenant)
        return greedy(f"{number} {tenant} went to the market and bought", 12, route=route)

    ended: list[str] = []
    lock = threading.Lock()

    def note(tenant: str) -> Any:
        def add(_: Any) -> None:
            with lock:
                ended.append(tenant)

        return add

    calls = []
    for number in range(40):
        calls.append(running.node.start(of("much", number), 120))
        calls[-1].add_done_callback(note("much"))
    eventually(lambda: running.node.waiting() == 40)
    for number in range(2):
        calls.append(running.node.start(of("little", number), 120))
        calls[-1].add_done_callback(note("little"))
    for call in calls:
        call.result()
    eventually(lambda: len(ended) == 42)
    assert max(index for index, tenant in enumerate(ended) if tenant == "little") < 34


def test_a_step_that_cannot_be_computed_fails_its_requests_and_the_next_succeed(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With llama.cpp's own code in the message."""
    decode = api().llama_decode
    broken = threading.Event()

    def fails_once(*arguments: Any) -> int:
        if broken.is_set():
            return int(decode(*arguments))
        broken.set()
        return 1

    monkeypatch.setattr(api(), "llama_decode", fails_once)
    failed = running.node.failure(greedy(PROMPTS[0]))
    assert (failed.reason, "code 1" in failed.message) == ("MODEL_FAILED", True)
    monkeypatch.undo()
    assert running.all([greedy(PROMPTS[0], 4)])[0].text
    assert running.idle()
