"""`waypost generate`: the answer alone on stdout, how it went on stderr."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration

from tests.commands import Run
from tests.fake_mesh import FakeMesh, streaming, trailing
from waypost.v1 import common_pb2, generate_pb2

SERVED = common_pb2.ServedBy(model="smollm2", version="2", instance="writer-0")


@pytest.fixture(autouse=True)
def address(mesh: FakeMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake mesh is the one that commands call."""
    monkeypatch.setenv("WAYPOST_ADDRESS", mesh.address)


def test_the_answer_is_streamed_and_summed_up(run: Run, mesh: FakeMesh) -> None:
    """A pipe gets the text and nothing else."""
    mesh.answers["GenerateStream"] = streaming(
        "Hello", " there.",
        served=SERVED,
        usage=generate_pb2.GenerateUsage(prompt_tokens=40, cached_tokens=30, completion_tokens=3, dropped_tokens=7),
        first_token=Duration(nanos=12_500_000),
        tokens_per_second=53.25,
        finish_reason=generate_pb2.FINISH_REASON_LENGTH,
    )  # fmt: skip
    done = run("generate", "Say hello")
    assert (done.code, done.out) == (0, "Hello there.\n")
    assert done.err == (
        "smollm2 on writer-0: 3 tokens, 53.2 tokens/s, first token 12.50 ms, 30 of 40 prompt tokens cached, "
        "7 prompt tokens dropped, ended by length\n"
    )


def test_the_summary_says_how_the_answer_was_routed(run: Run, mesh: FakeMesh) -> None:
    """Its tier, its price, what was asked before, and the id that `waypost feedback` wants; streamed or not."""
    said = {
        "waypost-tier": "high",
        "waypost-hops": "small large",
        "waypost-cost-usd": "0.000125000",
        "waypost-cache": "miss",
        "waypost-guard": "jailbreak 0.97",
        "waypost-request-id": "7f3c",
    }
    mesh.answers["GenerateStream"] = trailing(said, streaming("Hello", served=SERVED))
    mesh.answers["Generate"] = trailing(said, lambda request, context: generate_pb2.GenerateResponse(served=SERVED))
    for option in ("--stream", "--no-stream"):
        summary = run("generate", "Say hello", option).err
        assert "0.000125 USD, tier high, after small, the guard says jailbreak 0.97, request 7f3c\n" in summary
    mesh.answers["Generate"] = trailing({"waypost-cache": "hit"}, lambda *_: generate_pb2.GenerateResponse())
    assert "from the cache" in run("generate", "Say hello", "--no-stream").err


def test_options_reach_the_request(run: Run, mesh: FakeMesh, tmp_path: Path) -> None:
    """Files are read, the system's words come first, what is left out is not sent."""
    (tmp_path / "schema.json").write_text('{"type": "object"}')
    mesh.answers["Generate"] = lambda request, context: generate_pb2.GenerateResponse(text="{}")
    done = run(
        *("generate", "-", "--no-stream", "--model", "smollm2", "--system", "Be brief.", "--max-tokens", "9"),
        *("--temperature", "0", "--seed", "7", "--stop", "END", "--stop", "\n", "--adapter", "formal"),
        *("--schema", str(tmp_path / "schema.json"), "--truncate", "start"),
        *("--tier", "high", "--tag", "code", "--tag", "fast", "--no-cache", "--no-store"),
        stdin="Say hello",
    )
    assert (done.code, done.out) == (0, "{}\n")
    assert mesh.requests == [
        generate_pb2.GenerateRequest(
            model="smollm2",
            chat=generate_pb2.Prompt(
                messages=[
                    generate_pb2.ChatMessage(role="system", content="Be brief."),
                    generate_pb2.ChatMessage(role="user", content="Say hello"),
                ]
            ),
            route=common_pb2.RouteHints(
                required_tags=["code", "fast"], tier=common_pb2.TIER_HIGH, no_cache=True, no_store=True
            ),
            sampling=generate_pb2.Sampling(seed=7, temperature=0),
            max_tokens=9,
            stop=["END", "\n"],
            json_schema='{"type": "object"}',
            adapter="formal",
            truncation=common_pb2.TRUNCATION_START,
        )
    ]


def test_a_raw_prompt_goes_as_it_is(run: Run, mesh: FakeMesh, tmp_path: Path) -> None:
    """With a grammar here; a system message has no place in it."""
    (tmp_path / "yes.gbnf").write_text('root ::= "yes"')
    mesh.answers["GenerateStream"] = streaming("yes")
    assert run("generate", "Is it?", "--raw", "--grammar", str(tmp_path / "yes.gbnf")).out == "yes\n"
    sent = mesh.requests[0].request
    assert (sent.raw, sent.grammar) == ("Is it?", 'root ::= "yes"')
    refused = run("generate", "Is it?", "--raw", "--system", "Be brief.")
    assert (refused.code, refused.out) == (2, "")
    assert "leave out --system" in refused.err


def test_json_is_the_whole_answer(run: Run, mesh: FakeMesh) -> None:
    """Bytes of tokens as text."""
    token = generate_pb2.TokenLogprob(token=5, text=b"yes", logprob=-0.5)
    mesh.answers["Generate"] = lambda request, context: generate_pb2.GenerateResponse(
        text="yes", finish_reason=generate_pb2.FINISH_REASON_STOP, logprobs=[token]
    )
    done = run("generate", "Is it?", "--json", "--logprobs", "0")
    assert (done.code, done.err) == (0, "")
    assert (done.json["text"], done.json["finish_reason"]) == ("yes", "stop")
    assert done.json["logprobs"] == [{"token": 5, "text": "yes", "logprob": -0.5, "top": []}]


def test_log_probabilities_are_a_table(run: Run, mesh: FakeMesh) -> None:
    """Each token with the likeliest at its place."""
    other = generate_pb2.TokenLogprob(token=6, text=b"no", logprob=-2.0)
    token = generate_pb2.TokenLogprob(token=5, text=b"yes", logprob=-0.5, top=[other])
    mesh.answers["Generate"] = lambda request, context: generate_pb2.GenerateResponse(text="yes", logprobs=[token])
    done = run("generate", "Is it?", "--no-stream", "--logprobs", "1")
    (row,) = [line for line in done.out.splitlines() if "-0.500" in line]
    assert "'yes'" in row and "'no' -2.000" in row
    assert mesh.requests[0].top_logprobs == 1


def test_a_file_that_is_not_there_is_one_line(run: Run, mesh: FakeMesh) -> None:
    """Before anything is sent."""
    done = run("generate", "x", "--schema", "/none/schema.json")
    assert (done.code, done.out, done.err) == (1, "", "waypost: No such file or directory: /none/schema.json\n")
    assert not mesh.requests


def test_an_answer_without_an_end_is_a_failure(run: Run, mesh: FakeMesh) -> None:
    """What came is shown."""
    mesh.answers["GenerateStream"] = lambda request, context: iter([generate_pb2.GenerateStreamResponse(text="Hel")])
    done = run("generate", "x")
    assert (done.code, done.out) == (1, "Hel\n")
    assert "broke off" in done.err
