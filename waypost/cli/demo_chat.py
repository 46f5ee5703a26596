"""The part of `waypost demo` that generates: an answer as it comes, one that satisfies a schema, one that is stopped.

That a stopped answer frees its slot is asked of the worker itself: the router forgets a call when its caller does.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from waypost.cli import answer, show

if TYPE_CHECKING:
    from waypost.client import Client
    from waypost.results import Generation

QUESTION = "Why is the sky blue? Answer in two sentences."
ORDER = "Fill in the order: Anna would like three pizzas, please."
SCHEMA = {
    "type": "object",
    "properties": {
        "customer": {"type": "string", "maxLength": 20},
        "dish": {"enum": ["pizza", "salad", "soup"]},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
    },
    "required": ["customer", "dish", "count"],
    "additionalProperties": False,
}
STORY = "Tell me a long story about the sea."
PIECES = 12
"""How much of the story is heard."""
PATIENCE_S = 10.0
POLL_S = 0.002

Heard = Callable[[str], None]
Busy = Callable[[], int]


@dataclass(frozen=True)
class Answered:
    """An answer, parsed where it is JSON, and how long the caller waited."""

    name: str
    value: Any
    generation: Generation
    round_trip: float


@dataclass(frozen=True)
class Stopped:
    """What the workers had in hand before and after an answer was stopped, and the seconds until they had nothing."""

    text: str
    busy_before: int
    busy_after: int
    freed_s: float


@dataclass(frozen=True)
class Chat:
    """All that was generated."""

    answers: tuple[Answered, ...]
    stopped: Stopped


def chat(client: Client, heard: Heard) -> Chat | None:
    """Generates, where the mesh can; `heard` gets everything as it comes."""
    if not any("generate" in model.tasks for model in client.models()):
        return None
    told, filled = _streamed(client, heard), _structured(client, heard)
    return Chat((told, filled), _stopped(client, told.generation.served.model, heard))


def _streamed(client: Client, heard: Heard) -> Answered:
    heard(f"generate: {QUESTION}\n")
    began = time.perf_counter()
    with client.generate_stream(QUESTION, max_tokens=80, temperature=0) as chunks:
        final = answer.streamed(chunks, heard)
    heard("\n")
    return Answered("stream", final.text, final, time.perf_counter() - began)


def _structured(client: Client, heard: Heard) -> Answered:
    heard(f"generate JSON: {ORDER}\n")
    began = time.perf_counter()
    found = client.generate(ORDER, json_schema=SCHEMA, max_tokens=80, temperature=0)
    value = json.loads(found.text)
    heard("".join(f"  {key} = {each!r}\n" for key, each in value.items()) + "\n")
    return Answered("JSON", value, found, time.perf_counter() - began)


def _stopped(client: Client, model: str, heard: Heard) -> Stopped:
    heard(f"generate and stop: {STORY}\n")
    with _busy(client, model) as busy:
        text, before = _story(client, model, heard, busy)
        began = time.perf_counter()
        after = _idle(busy)
        freed = time.perf_counter() - began
    heard(f" … stopped\nrequests in the worker: {before} before, {after} {show.milliseconds(freed)} later\n\n")
    return Stopped(text, before, after, freed)


@contextlib.contextmanager
def _busy(client: Client, model: str) -> Iterator[Busy]:
    """Counts the requests in hand of the workers that serve the model."""
    from waypost.client import Client as Worker

    with contextlib.ExitStack() as stack:
        addresses = [each.address for each in client.instances() if model in each.models]
        workers = [stack.enter_context(Worker(address)) for address in addresses]
        yield lambda: sum(worker.instance().queue_depth for worker in workers)


def _story(client: Client, model: str, heard: Heard, busy: Busy) -> tuple[str, int]:
    """The beginning of an answer, and what was in hand when it was left."""
    text = ""
    with client.generate_stream(STORY, model=model, max_tokens=2000, temperature=0) as chunks:
        for _, chunk in zip(range(PIECES), chunks, strict=False):
            heard(chunk.text)
            text += chunk.text
        return text, busy()


def _idle(busy: Busy) -> int:
    """What is in hand once nothing is, or patience is spent."""
    until = time.monotonic() + PATIENCE_S
    while (left := busy()) and time.monotonic() < until:
        time.sleep(POLL_S)
    return left


def show_timings(chat: Chat) -> None:
    """Prints how fast it was."""
    by = chat.answers[0].generation.served
    columns = ("answer", "prompt ", "cached ", "tokens ", "per s ", "queue ", "first ", "caller ")
    show.table(f"generation, in tokens and ms ({by.model} on {by.instance})", columns, map(_row, chat.answers))


def _row(answered: Answered) -> tuple[str | int, ...]:
    found, usage = answered.generation, answered.generation.usage
    spent = (found.timings.queue, found.first_token, answered.round_trip)
    tokens = (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)
    return (answered.name, *tokens, f"{found.tokens_per_second:.1f}", *(f"{each * 1e3:.0f}" for each in spent))
