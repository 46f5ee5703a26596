"""`waypost generate`: one prompt, one answer."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waypost.cli import answer, show
from waypost.cli.failures import WRONG_USAGE, CommandError
from waypost.cli.options import (
    Adapter,
    Address,
    Json,
    MaxTokens,
    Model,
    NoStore,
    Seed,
    System,
    Tag,
    Temperature,
    Tier,
    Timeout,
    address_or_running,
    given,
)

if TYPE_CHECKING:
    from waypost._generate import Messages
    from waypost.client import Client
    from waypost.results import Generation

Prompt = Annotated[str, typer.Argument(help='What to answer; "-" reads it from standard input.')]
Stop = Annotated[list[str] | None, typer.Option(help="End before this text; may be repeated.")]
Schema = Annotated[Path | None, typer.Option(help="File with a JSON schema that the answer satisfies.")]
Grammar = Annotated[Path | None, typer.Option(help="File with a GBNF grammar that the answer satisfies.")]
Raw = Annotated[bool, typer.Option("--raw", help="Give the model the prompt as it is, without its chat template.")]
Logprobs = Annotated[int | None, typer.Option(help="Show log probabilities, and so many of the likeliest tokens.")]
Truncate = Annotated[str, typer.Option(help='Cut a prompt that is too long: its "start" or its "end".')]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Neither take the answer from the cache nor keep it there.")]
Streamed = Annotated[bool, typer.Option("--stream/--no-stream", help="Print the answer as it comes.")]


def generate(
    prompt: Prompt,
    address: Address = "",
    model: Model = "",
    tier: Tier = "",
    tag: Tag = None,
    system: System = "",
    max_tokens: MaxTokens = 0,
    temperature: Temperature = None,
    seed: Seed = None,
    stop: Stop = None,
    schema: Schema = None,
    grammar: Grammar = None,
    raw: Raw = False,
    adapter: Adapter = "",
    logprobs: Logprobs = None,
    truncate: Truncate = "",
    no_cache: NoCache = False,
    no_store: NoStore = False,
    stream: Streamed = True,
    timeout: Timeout = 60.0,
    json: Json = False,
) -> None:
    """The answer to a prompt: on stdout the text alone, on stderr how it went."""
    from waypost.client import Client

    options = given(
        model=model,
        tier=tier,
        tags=tag,
        no_cache=no_cache,
        no_store=no_store,
        max_tokens=max_tokens,
        temperature=temperature,
        seed=seed,
        stop=stop,
        json_schema=schema and schema.read_text().strip(),
        grammar=grammar and grammar.read_text().strip(),
        raw=raw,
        adapter=adapter,
        top_logprobs=logprobs,
        truncate=truncate,
    )
    messages = _messages(sys.stdin.read() if prompt == "-" else prompt, system, raw)
    with Client(address_or_running(address), timeout=timeout) as client:
        if json:
            return show.as_json(client.generate(messages, **options))
        found = _streamed(client, messages, options) if stream else _whole(client, messages, options)
    if found.logprobs:
        answer.logprobs(found.logprobs)
    answer.summary(found)


def _messages(prompt: str, system: str, raw: bool) -> str | list[dict[str, str]]:
    if raw and system:
        raise CommandError("--raw gives the model the prompt alone: leave out --system", WRONG_USAGE)
    if raw:
        return prompt
    before = [{"role": "system", "content": system}] if system else []
    return [*before, {"role": "user", "content": prompt}]


def _streamed(client: Client, messages: Messages, options: dict[str, Any]) -> Generation:
    with client.generate_stream(messages, **options) as chunks:
        return replace(answer.streamed(chunks), routing=chunks.routing)


def _whole(client: Client, messages: Messages, options: dict[str, Any]) -> Generation:
    found = client.generate(messages, **options)
    answer.piece(f"{found.text}\n")
    return found
