"""Hosted models: what goes out, what comes back, and every way a provider lets its callers down."""

from __future__ import annotations

import json
import random
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from services import remote
from services.backend import ModelUnusable
from services.remote.key import Key
from tests.inbox import FakeInbox, answering, chat, raw
from tests.scripted_provider import (
    ScriptedProvider,
    chunk,
    drops,
    hangs_up,
    refuses,
    says,
    sends,
    stalls,
    usage,
    writes,
)
from waypost.config import Model
from waypost.v1.common_pb2 import RouteHints
from waypost.v1.generate_pb2 import (
    TOOL_CHOICE_NONE,
    TOOL_CHOICE_REQUIRED,
    ChatMessage,
    Prompt,
    Sampling,
    Tool,
    ToolCall,
)

KEY = "sk-live-0123456789"
SOON = {"retry_after_ms": "20"}
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = Tool(name="weather", description="The weather", parameters_json=json.dumps(CITY))

Start = Callable[..., FakeInbox]


def model(
    base_url: str, generate: dict[str, Any] | None = None, prices: tuple[float, float] = (0, 0), **own: Any
) -> Model:
    settings = {"base_url": base_url, "model": "big", "connect_timeout_s": 5.0, "idle_timeout_s": 10.0} | own
    cost = dict(zip(("cost_per_1k_tokens_usd", "cost_per_1k_output_tokens_usd"), prices, strict=True))
    return Model(name="hosted", backend="remote", remote=settings, generate=generate or {}, **cost)  # type: ignore[arg-type]


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PROVIDER_KEY", KEY)
    return KEY


@pytest.fixture
def exits() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def start(exits: ExitStack) -> Start:
    """Starts a hosted model at a provider; both end with the test."""

    def started(provider: ScriptedProvider, **settings: Any) -> FakeInbox:
        exits.enter_context(provider)
        return exits.enter_context(answering(remote.load(model(provider.url, **settings), sessions=1)))

    return started


# What goes out


def test_pieces_are_passed_on_and_the_usage_is_the_providers(start: Start) -> None:
    """Text, reason, prompt, cached and completion tokens."""
    job = start(ScriptedProvider(says("Good ", "day", counts=usage(7, 2, cached=3)))).ask(chat("Hello"))
    assert (job.pieces, job.reason) == (["Good ", "day"], "stop")
    assert (job.final["prompt_tokens"], job.final["cached_tokens"], job.final["completion_tokens"]) == (7, 3, 2)


def test_a_conversation_goes_out_as_the_format_writes_it(start: Start) -> None:
    """Roles, calls and their results; streamed, with usage, under the provider's name for the model."""
    call = ToolCall(id="c1", name="weather", arguments_json='{"city": "Oslo"}')
    messages = [
        ChatMessage(role="system", content="Be brief."),
        ChatMessage(role="assistant", tool_calls=[call]),
        ChatMessage(role="tool", content="rain", tool_call_id="c1"),
    ]
    provider = ScriptedProvider(says("ok"))
    request = chat()
    request.chat.CopyFrom(Prompt(messages=messages))
    start(provider).ask(request)
    (seen,) = provider.seen
    assert seen.path == "/v1/chat/completions"
    assert seen.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
            ],
        },
        {"role": "tool", "content": "rain", "tool_call_id": "c1"},
    ]
    assert (seen.body["model"], seen.body["stream"]) == ("big", True)
    assert seen.body["stream_options"] == {"include_usage": True}


def test_a_traced_request_takes_its_context_along_at_every_attempt(start: Start) -> None:
    """And one that is not traced has none."""
    context = f"00-{'a' * 32}-{'b' * 16}-01"
    provider = ScriptedProvider(refuses(503, **SOON), says("ok"), says("ok"))
    inbox = start(provider)
    inbox.ask(chat("Hello"), traceparent=context)
    inbox.ask(chat("Hello"))
    assert [seen.headers.get("traceparent") for seen in provider.seen] == [context, context, None]


def test_sampling_goes_out_under_the_names_that_servers_know(start: Start) -> None:
    """What was not set is not sent."""
    sampling = Sampling(seed=2**63 + 5, temperature=0.7, top_k=40, min_p=0.05, repeat_penalty=1.1, logit_bias={9: -100})
    provider = ScriptedProvider(says("ok"))
    start(provider).ask(chat("Hello", sampling=sampling, stop=["END"], max_tokens=5))
    body = provider.seen[0].body
    sent = {name: body[name] for name in body.keys() - {"messages", "model", "stream", "stream_options"}}
    assert sent == {
        "seed": 5,
        "temperature": 0.7,
        "top_k": 40,
        "min_p": 0.05,
        "repeat_penalty": 1.1,
        "repetition_penalty": 1.1,
        "logit_bias": {"9": -100},
        "stop": ["END"],
        "max_tokens": 5,
    }


def test_an_answer_without_a_limit_has_the_models(start: Start) -> None:
    """`generate.max_tokens`."""
    provider = ScriptedProvider(says("ok"))
    start(provider, generate={"max_tokens": 33}).ask(chat("Hello"))
    assert provider.seen[0].body["max_tokens"] == 33


def test_a_raw_prompt_goes_to_completions(start: Start) -> None:
    """As it is, without messages."""
    provider = ScriptedProvider(sends({"choices": [{"text": " time", "finish_reason": "length"}]}))
    job = start(provider).ask(raw("Once upon a"))
    assert (job.text, job.reason) == (" time", "length")
    assert (provider.seen[0].path, provider.seen[0].body["prompt"]) == ("/v1/completions", "Once upon a")


REFUSED: list[tuple[Any, str, str]] = [
    (chat("x", grammar='root ::= "a"'), "not_capable", "grammar"),
    (chat("x", top_logprobs=2), "not_capable", "top_logprobs"),
    (chat("x", truncation=1), "not_capable", "truncation"),
    (chat("x", sampling=Sampling(penalty_tokens=3)), "not_capable", "penalty_tokens"),
    (chat("x", adapter="poet"), "adapter_not_found", "poet"),
    (raw("x", json_schema="{}"), "not_capable", "raw prompt"),
    (raw("x", tools=[WEATHER]), "not_capable", "raw prompt"),
    (chat("x", json_schema='{"type": "strin"}'), "invalid_field", "json_schema"),
    (chat("x", json_schema="{"), "invalid_field", "json_schema"),
    (chat("x", json_schema='{"$ref": "http://127.0.0.1:9/other"}'), "invalid_field", "nothing is fetched"),
    (chat("x", json_schema='{"a":' * 3000 + "1" + "}" * 3000), "invalid_field", "json_schema"),
    (chat("x", tools=[Tool(name="f", parameters_json='{"type": "array"}')]), "invalid_field", "of an object"),
]


@pytest.mark.parametrize(("request_", "kind", "words"), REFUSED, ids=[f"{kind}-{words}" for _, kind, words in REFUSED])
def test_what_the_format_cannot_say_is_refused_before_it_costs_anything(
    start: Start, request_: Any, kind: str, words: str
) -> None:
    """Nothing is left out in silence."""
    provider = ScriptedProvider(says("ok"))
    refusal = start(provider).ask(request_).refusal
    assert refusal["kind"] == kind and words in json.dumps(refusal)
    assert provider.seen == []


def test_tokens_are_not_counted_here(start: Start) -> None:
    """Only the provider knows its tokenizer."""
    job = start(ScriptedProvider(says("ok"))).ask(chat("Hello"), kind="count")
    assert job.refusal["kind"] == "not_capable"


# What comes back


def test_without_usage_tokens_are_estimated(start: Start) -> None:
    """Four bytes each, and priced so."""
    job = start(ScriptedProvider(says("12345678")), prices=(1.0, 2.0)).ask(chat("1234"))
    assert (job.final["prompt_tokens"], job.final["completion_tokens"]) == (1, 2)
    assert job.final["cost_usd"] == pytest.approx(0.005)


def test_an_answer_costs_what_its_tokens_cost(start: Start) -> None:
    """Prompt and answer at their own prices."""
    provider = ScriptedProvider(says("ok", counts=usage(2000, 500)))
    assert start(provider, prices=(0.001, 0.004)).ask(chat("x")).final["cost_usd"] == pytest.approx(0.004)


def call_chunks(*arguments: str, name: str = "weather") -> list[Any]:
    """A call whose arguments come in pieces."""
    first = {"index": 0, "id": "c1", "function": {"name": name, "arguments": ""}}
    rest = [{"index": 0, "function": {"arguments": piece}} for piece in arguments]
    return [chunk(tool_calls=[part]) for part in (first, *rest)]


def test_a_tool_call_is_put_together_from_its_pieces(start: Start) -> None:
    """Name, id and arguments; the tool went out with its schema."""
    provider = ScriptedProvider(sends(*call_chunks('{"ci', 'ty": "Oslo"}'), chunk("tool_calls")))
    job = start(provider).ask(chat("Weather?", tools=[WEATHER]))
    assert (job.reason, job.final["tool_calls"]) == ("tool_calls", [("c1", "weather", '{"city": "Oslo"}')])
    assert provider.seen[0].body["tools"][0]["function"]["parameters"] == CITY
    assert provider.seen[0].body["tool_choice"] == "auto"


def test_calls_of_servers_that_keep_to_the_format_loosely_are_understood(start: Start) -> None:
    """All at index 0, without ids or arguments, and ended by "stop"."""
    calls = [{"index": 0, "id": name, "function": {"name": name}} for name in ("a", "b")]
    tools = [Tool(name="a"), Tool(name="b")]
    job = start(ScriptedProvider(sends(chunk("stop", tool_calls=calls)))).ask(chat("x", tools=tools))
    assert (job.reason, job.final["tool_calls"]) == ("tool_calls", [("a", "a", "{}"), ("b", "b", "{}")])


@pytest.mark.parametrize(
    ("arguments", "name", "words"),
    [
        ('{"city": 3}', "weather", '$.city: 3 is not of type "string"'),
        ('{"city": "Oslo"', "weather", "no JSON object"),
        ('["Oslo"]', "weather", "no JSON object"),
        ("{}", "wether", "no tool 'wether'"),
    ],
)
def test_a_call_that_cannot_be_run_does_not_reach_the_caller(
    start: Start, arguments: str, name: str, words: str
) -> None:
    """Known name, an object, and the schema satisfied."""
    provider = ScriptedProvider(sends(*call_chunks(arguments, name=name), chunk("tool_calls")))
    refusal = start(provider).ask(chat("Weather?", tools=[WEATHER])).refusal
    assert refusal["kind"] == "model_failed" and words in refusal["why"]


def test_a_call_that_was_cut_is_none(start: Start) -> None:
    """The reason says "length"."""
    provider = ScriptedProvider(sends(*call_chunks('{"city'), chunk("length")))
    job = start(provider).ask(chat("Weather?", tools=[WEATHER]))
    assert (job.reason, job.final["tool_calls"]) == ("length", [])


def test_a_call_that_must_be_there_is_missed(start: Start) -> None:
    """TOOL_CHOICE_REQUIRED; with TOOL_CHOICE_NONE text is right."""
    provider = ScriptedProvider(says("no"))
    inbox = start(provider)
    assert inbox.ask(chat("x", tools=[WEATHER], tool_choice=TOOL_CHOICE_REQUIRED)).refusal["kind"] == "model_failed"
    assert inbox.ask(chat("x", tools=[WEATHER], tool_choice=TOOL_CHOICE_NONE)).reason == "stop"
    assert [seen.body["tool_choice"] for seen in provider.seen] == ["required", "none"]


def test_a_structured_answer_is_asked_for_and_checked(start: Start) -> None:
    """A provider's promise is not taken on trust."""
    provider = ScriptedProvider(says('{"city": ', '"Oslo"}'), says('{"city": 3}'), says('{"ci', finish="length"))
    inbox = start(provider)
    jobs = [inbox.ask(chat("Where?", json_schema=json.dumps(CITY))) for _ in range(3)]
    sent = provider.seen[0].body["response_format"]
    assert sent["type"] == "json_schema" and sent["json_schema"]["strict"] and sent["json_schema"]["schema"] == CITY
    assert [job.reason for job in jobs] == ["stop", None, "length"]
    assert jobs[1].refusal["kind"] == "model_failed" and "$.city" in jobs[1].refusal["why"]


def test_a_schema_may_be_told_in_the_prompt(start: Start) -> None:
    """For endpoints without `json_schema`; the answer is checked all the same."""
    provider = ScriptedProvider(says('{"city": "Oslo"}'), says("Oslo"))
    inbox = start(provider, schemas="prompt")
    request = chat("Where?", json_schema=json.dumps(CITY))
    assert inbox.ask(request).reason == "stop"
    request.chat.messages.insert(0, ChatMessage(role="system", content="Be brief."))
    assert inbox.ask(request).refusal["kind"] == "model_failed"
    first, second = (seen.body for seen in provider.seen)
    assert first["response_format"] == {"type": "json_object"}
    assert [each["role"] for each in first["messages"]] == ["system", "user"]
    assert [each["role"] for each in second["messages"]] == ["system", "user"]
    assert second["messages"][0]["content"].startswith("Be brief.") and "additionalProperties" in str(second)


def test_what_the_provider_withholds_is_said(start: Start) -> None:
    """A content filter, and a refusal in place of a structured answer."""
    inbox = start(
        ScriptedProvider(says("a", finish="content_filter"), sends(chunk(refusal="I will not"), chunk("stop")))
    )
    assert inbox.ask(chat("x")).reason == "filtered"
    job = inbox.ask(chat("x", json_schema=json.dumps(CITY)))
    assert (job.text, job.reason) == ("I will not", "filtered")


# Second attempts


def test_it_comes_back_when_the_provider_says(start: Start) -> None:
    """429 with a hint, then the answer."""
    provider = ScriptedProvider(refuses(429, "slow down", **SOON), says("ok"))
    assert start(provider).ask(chat("x")).text == "ok"
    assert len(provider.seen) == 2


def test_two_errors_of_the_server_are_survived(start: Start) -> None:
    """500 twice, the third of three attempts answers."""
    provider = ScriptedProvider(refuses(500), refuses(503), says("ok"))
    assert start(provider).ask(chat("x")).text == "ok"


@pytest.mark.parametrize("failing", [hangs_up(), drops(), stalls(), sends("{not json"), writes("<html>"), refuses(502)])
def test_whatever_fails_before_the_first_piece_is_tried_again(start: Start, failing: Any) -> None:
    """A dead line, silence, garbage."""
    provider = ScriptedProvider(failing, says("ok"))
    job = start(provider, idle_timeout_s=0.3).ask(chat("x"))
    assert (job.text, job.reason, len(provider.seen)) == ("ok", "stop", 2)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (drops("half"), "connection failed"),
        (stalls("half"), "does not answer in time"),
        (sends(chunk(content="half"), "{not json"), "no answer"),
        (sends(chunk(content="half"), [1, 2]), "no answer"),
        (sends(chunk(content="half"), {"choices": [{"delta": {"content": 7}}]}), "no answer"),
        (sends(chunk(content="half"), {"error": {"message": "out of memory"}}), "out of memory"),
        (sends(chunk(content="half"), chunk("insufficient_system_resource")), "insufficient_system_resource"),
        (sends(chunk(content="half")), "without saying why"),
    ],
)
def test_what_fails_after_a_piece_fails_the_call(start: Start, act: Any, words: str) -> None:
    """No second answer is glued to half of the first."""
    provider = ScriptedProvider(act)
    job = start(provider, idle_timeout_s=0.3).ask(chat("x"))
    assert job.text == "half" and len(provider.seen) == 1
    assert job.refusal["kind"] == "provider_failed" and words in job.refusal["why"]


def test_an_answer_that_had_ended_is_whole_without_its_usage(start: Start) -> None:
    """The line may die after the finish reason."""
    provider = ScriptedProvider(sends(chunk(content="whole"), chunk("stop"), "{not json"))
    assert start(provider).ask(chat("x")).reason == "stop"


def test_attempts_come_to_an_end(start: Start) -> None:
    """`max_attempts`; the caller is told when to come back."""
    provider = ScriptedProvider(refuses(429, "slow down", **SOON))
    refusal = start(provider, max_attempts=2).ask(chat("x")).refusal
    assert refusal == {"kind": "rate_limited", "retry_after_s": 0.02}
    assert len(provider.seen) == 2


@pytest.mark.parametrize(("hint", "timeout_s"), [("15", 10.0), ("100", 1000.0)])
def test_a_pause_that_is_too_long_is_left_to_the_caller(start: Start, hint: str, timeout_s: float) -> None:
    """Beyond the deadline, or longer than a place should be held."""
    provider = ScriptedProvider(refuses(429, retry_after=hint))
    job = start(provider).ask(chat("x"), timeout_s=timeout_s)
    assert job.refusal == {"kind": "rate_limited", "retry_after_s": float(hint)}
    assert len(provider.seen) == 1


@pytest.mark.parametrize(
    ("status", "error", "kind", "words"),
    [
        (401, "bad key", "model_failed", "refuses our key"),
        (403, "no", "model_failed", "refuses our key"),
        (404, "no such model", "model_failed", "no such model"),
        (429, {"message": "pay", "code": "insufficient_quota"}, "provider_failed", "pay"),
        (402, {"message": "pay"}, "provider_failed", "pay"),
        (400, "too many stops", "not_capable", "too many stops"),
        (400, {"message": "long", "code": "context_length_exceeded"}, "invalid_field", "long"),
        (400, {"message": "long", "n_ctx": 100, "n_prompt_tokens": 200}, "text_too_long", "200"),
    ],
)
def test_a_refusal_that_would_come_again_is_not_tried_again(
    start: Start, status: int, error: Any, kind: str, words: str
) -> None:
    """One attempt, and the provider's reason."""
    provider = ScriptedProvider(refuses(status, error))
    refusal = start(provider).ask(chat("x")).refusal
    assert refusal["kind"] == kind and words in json.dumps(refusal)
    assert len(provider.seen) == 1


def test_the_provider_may_say_whether_to_try_again(start: Start) -> None:
    """`x-should-retry`, which OpenAI sends."""
    provider = ScriptedProvider(refuses(500, x_should_retry="false"))
    assert start(provider).ask(chat("x")).refusal["kind"] == "provider_failed"
    assert len(provider.seen) == 1


def test_nobody_there_is_a_provider_that_failed(start: Start, exits: ExitStack) -> None:
    """Where nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        inbox = exits.enter_context(answering(remote.load(model(url, max_attempts=1), sessions=1)))
        refusal = inbox.ask(chat("x")).refusal
    assert refusal["kind"] == "provider_failed" and "connection failed" in refusal["why"]


def test_a_certificate_that_nobody_signed_is_not_accepted(start: Start, tmp_path: Path) -> None:
    """The key does not go to whoever answers."""
    files = ("-keyout", f"{tmp_path}/key.pem", "-out", f"{tmp_path}/cert.pem")
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", *files)
    if not shutil.which("openssl"):
        pytest.skip("NOT RUN: there is no openssl to make a certificate with")
    subprocess.run(made, check=True, capture_output=True)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    provider = ScriptedProvider(says("ok"), tls=tls)
    refusal = start(provider, max_attempts=1).ask(chat("x")).refusal
    assert refusal["kind"] == "provider_failed" and "CERTIFICATE_VERIFY_FAILED" in refusal["why"]
    assert provider.seen == []


# Dialects


def test_an_endpoint_without_stream_options_is_understood(start: Start) -> None:
    """Refused once, left out from then on."""
    provider = ScriptedProvider(refuses(400, "unknown field stream_options"), says("ok"))
    inbox = start(provider)
    assert [inbox.ask(chat("x")).text, inbox.ask(chat("x")).text] == ["ok", "ok"]
    assert ["stream_options" in seen.body for seen in provider.seen] == [True, False, False]


def test_an_endpoint_is_told_not_to_store_what_its_caller_does_not_want_kept(start: Start) -> None:
    """And nothing where the caller says nothing; who does not know the word is asked without it."""
    provider = ScriptedProvider(says("ok"), refuses(400, "unknown field 'store'"), says("ok"))
    inbox = start(provider)
    for private in (False, True):
        inbox.ask(chat("x", route=RouteHints(no_store=private)))
    assert [seen.body.get("store") for seen in provider.seen] == [None, False, None]


def test_an_endpoint_that_wants_max_completion_tokens_gets_them(start: Start) -> None:
    """As OpenAI's newer models do."""
    error = {"message": "Unsupported parameter: use 'max_completion_tokens'", "param": "max_tokens"}
    provider = ScriptedProvider(refuses(400, error), says("ok"))
    start(provider).ask(chat("x", max_tokens=9))
    assert provider.seen[1].body["max_completion_tokens"] == 9 and "max_tokens" not in provider.seen[1].body


# Limits and leaving


def test_requests_over_our_own_limit_fail_at_once(start: Start) -> None:
    """And say when there is room again."""
    provider = ScriptedProvider(says("ok"))
    inbox = start(provider, requests_per_minute=2)
    jobs = [inbox.ask(chat("x")) for _ in range(3)]
    assert [job.reason for job in jobs] == ["stop", "stop", None]
    assert jobs[2].refusal["kind"] == "rate_limited" and 0 < jobs[2].refusal["retry_after_s"] <= 30
    assert len(provider.seen) == 2


def test_tokens_count_against_our_own_limit_when_they_are_known(start: Start) -> None:
    """An answer of 100 tokens uses up a limit of 50 for a minute."""
    inbox = start(ScriptedProvider(says("ok", counts=usage(60, 40))), tokens_per_minute=50)
    assert inbox.ask(chat("x")).reason == "stop"
    assert 59 < inbox.ask(chat("x")).refusal["retry_after_s"] <= 62


def test_no_more_are_under_way_than_there_are_places(start: Start) -> None:
    """The others stay in the inbox, unbegun."""
    provider = ScriptedProvider(stalls("a"))
    inbox = start(provider, generate={"slots": 2})
    first, second = [inbox.put(chat("x")).wait(lambda job: job.pieces) for _ in range(2)]
    third = inbox.put(chat("x"))
    provider.open()
    assert [job.wait().reason for job in (first, second, third)] == ["stop"] * 3
    assert provider.most_busy == 2


def test_a_caller_who_leaves_ends_the_request_at_the_provider(start: Start) -> None:
    """The connection is closed, and the place is free."""
    provider = ScriptedProvider(stalls("a"), says("ok"))
    inbox = start(provider, generate={"slots": 1})
    job = inbox.put(chat("x")).wait(lambda job: job.pieces)
    job.cancel()
    assert job.wait().reason == "cancelled"
    assert provider.left.wait(20)
    assert inbox.ask(chat("x")).text == "ok"


def test_a_job_whose_caller_left_while_it_waited_costs_nothing(start: Start) -> None:
    """It never reaches the provider."""
    provider = ScriptedProvider(stalls("a"), says("ok"))
    inbox = start(provider, generate={"slots": 1})
    first = inbox.put(chat("x")).wait(lambda job: job.pieces)
    second = inbox.put(chat("x"))
    second.cancel()
    first.cancel()
    assert second.wait().reason == "cancelled"
    assert len(provider.seen) == 1


def test_a_deadline_ends_the_request_at_the_provider(start: Start) -> None:
    """However lively it is."""
    provider = ScriptedProvider(stalls("a"))
    job = start(provider).ask(chat("x"), timeout_s=0.3)
    assert job.refusal == {"kind": "deadline"}
    assert provider.left.wait(20)


def test_jobs_under_way_end_before_the_model_does(start: Start) -> None:
    """Draining: the inbox is closed while somebody is answered."""
    provider = ScriptedProvider(stalls("a"))
    inbox = start(provider)
    job = inbox.put(chat("x")).wait(lambda job: job.pieces)
    inbox.close()
    provider.open()
    assert job.wait().reason == "stop"


def test_every_job_ends_once_whatever_happens(start: Start) -> None:
    """300 jobs, a provider that fails in every way, callers who leave and deadlines; then all places are free."""
    rng = random.Random(4)
    acts = [says("a", "b"), drops("a"), hangs_up(), stalls("a"), sends("{"), refuses(500), refuses(429, **SOON)]
    provider = ScriptedProvider(*rng.choices(acts, k=2000))
    inbox = start(provider, generate={"slots": 8}, idle_timeout_s=0.05)
    jobs = [inbox.put(chat("x"), timeout_s=rng.choice([0.0, 0.2, 20.0])) for _ in range(300)]
    for job in rng.sample(jobs, 100):
        job.cancel()
    assert {job.wait().reason for job in jobs} == {"stop", "cancelled", None}
    assert provider.most_busy <= 8
    provider.acts[:] = [says("ok")]
    assert [inbox.ask(chat("x")).text for _ in range(9)] == ["ok"] * 9


# The key


def test_the_key_goes_to_the_provider_and_nowhere_else(
    start: Start, key: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not into an error that repeats it, at any length, nor into the log."""
    echo = f"the header was Bearer {key}"
    acts = [refuses(status, echo, **SOON) for status in (400, 401, 404, 429, 500)]
    acts += [refuses(400, "x" * 185 + key), refuses(400, {"said": echo}), sends({"error": {"message": echo}})]
    acts += [
        sends(echo),
        writes(echo),
        sends({"choices": echo * 9}),
        sends({"choices": [{"delta": {"content": [echo]}}]}),
    ]
    provider = ScriptedProvider(*acts)
    inbox = start(provider, key_env="PROVIDER_KEY", max_attempts=1)
    said = [json.dumps(inbox.ask(chat("x")).refusal) for _ in acts]
    assert [seen.headers["Authorization"] for seen in provider.seen] == [f"Bearer {key}"] * len(acts)
    assert "sk-live" not in "".join([*said, *capfd.readouterr()])
    assert all(said)


def test_the_key_has_no_text_form(key: str) -> None:
    """repr and str hide it, of the generator too."""
    loaded = remote.load(model("http://127.0.0.1:9/v1", key_env="PROVIDER_KEY"), sessions=1)
    assert Key('a"b&c').hide('a"b&c a\\"b&c a&quot;b&amp;c a%22b%26c') == "[key] [key] [key] [key]"
    assert "sk-live" not in f"{Key(key)} {Key(key)!r} {loaded} {loaded.answer}"


def test_a_key_file_is_read(start: Start, tmp_path: Path) -> None:
    """Without the line's end."""
    (tmp_path / "key").write_text(KEY + "\n")
    provider = ScriptedProvider(says("ok"))
    start(provider, key_file=str(tmp_path / "key")).ask(chat("x"))
    assert provider.seen[0].headers["Authorization"] == f"Bearer {KEY}"


def test_keys_and_accounts_of_the_environment_go_to_nobody(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client would send them to any provider."""
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "of-somebody")
    provider = ScriptedProvider(says("ok"))
    assert start(provider).ask(chat("x")).reason == "stop"
    assert "Authorization" not in provider.seen[0].headers
    assert "of-somebody" not in str(provider.seen[0].headers)


def test_a_key_that_is_not_there_is_found_out_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the place, never the key."""
    monkeypatch.setenv("BROKEN", f"{KEY}\nx")
    for settings, words in (
        ({"key_env": "NO_SUCH_KEY"}, "environment variable NO_SUCH_KEY"),
        ({"key_file": str(tmp_path / "none")}, "none cannot be read: No such file"),
        ({"key_env": "BROKEN"}, "line breaks"),
    ):
        with pytest.raises(ModelUnusable, match=words) as caught:
            remote.load(model("http://127.0.0.1:9/v1", **settings), sessions=1)
        assert "sk-live" not in str(caught.value)
