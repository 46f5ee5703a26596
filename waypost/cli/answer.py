"""An answer on the terminal: pieces as they come, and one line about how it went."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from waypost.cli import show

if TYPE_CHECKING:
    from waypost.results import Generation, GenerationChunk, Routing, TokenLogprob


def piece(text: str) -> None:
    """Prints text at once; on a terminal without whatever the terminal would take for a command."""
    print(show.printable(text) if sys.stdout.isatty() else text, end="", flush=True)


def streamed(chunks: Iterable[GenerationChunk], say: Callable[[str], None] = piece) -> Generation:
    """Says an answer as it comes, and ends its line.

    Raises:
        ServerError: its end is missing.
    """
    from waypost.errors import ServerError

    final = None
    for chunk in chunks:
        say(chunk.text)
        final = chunk.final
    say("\n")
    if final is None:
        raise ServerError("the answer broke off without a last word")
    return final


def summary(answer: Generation) -> None:
    """Prints how it went, on stderr: the answer alone is on stdout."""
    by = answer.served
    show.console(stderr=True).print(
        f"[dim]{by.model} on {by.instance}: {', '.join(_parts(answer))}[/dim]", soft_wrap=True
    )


def _parts(answer: Generation) -> Iterable[str]:
    usage = answer.usage
    yield f"{usage.completion_tokens} tokens"
    yield f"{answer.tokens_per_second:.1f} tokens/s"
    yield f"first token {show.milliseconds(answer.first_token)}"
    yield f"{usage.cached_tokens} of {usage.prompt_tokens} prompt tokens cached"
    if usage.dropped_tokens:
        yield f"{usage.dropped_tokens} prompt tokens dropped"
    if answer.finish_reason != "stop":
        yield f"ended by {answer.finish_reason}"
    if cost := answer.routing.cost_usd or answer.cost_usd:
        yield show.usd(cost)
    if answer.from_template:
        yield "a template's answer: no model was there"
    yield from _routing(answer.routing)


KEPT = {"hit": "from the cache", "near": "from the cache, of a prompt that means the same"}


def _routing(routing: Routing) -> Iterable[str]:
    if routing.tier:
        yield f"tier {routing.tier}"
    if routing.hops:
        yield f"after {', '.join(routing.hops[:-1])}"
    if kept := KEPT.get(routing.cache):
        yield kept
    if routing.guard:
        yield f"the guard says {routing.guard}"
    if routing.request_id:
        yield f"request {routing.request_id}"


def logprobs(tokens: Iterable[TokenLogprob]) -> None:
    """Prints each token with its log probability, and the likeliest at its place."""
    rows = ((_word(each), f"{each.logprob:.3f}", "  ".join(map(_alternative, each.top))) for each in tokens)
    show.table("tokens", ("token", "logprob ", "likeliest"), rows)


def _alternative(token: TokenLogprob) -> str:
    return f"{_word(token)} {token.logprob:.3f}"


def _word(token: TokenLogprob) -> str:
    return repr(token.text.decode(errors="replace"))
