"""`waypost embed | classify | rerank`: single calls from the command line."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from waypost.cli import show
from waypost.cli.failures import WRONG_USAGE, CommandError
from waypost.cli.options import Address, Json, Model, NoStore, Timeout, Truncate, address_or_running

Texts = Annotated[list[str] | None, typer.Argument(help="Texts; without any, one a line from standard input.")]


def embed(
    texts: Texts = None,
    address: Address = "",
    model: Model = "",
    dimensions: Annotated[int, typer.Option(help="Length of hash vectors; 0: the model's own.")] = 0,
    truncate: Truncate = False,
    no_store: NoStore = False,
    timeout: Timeout = 60.0,
    json: Json = False,
) -> None:
    """Vectors of texts."""
    from waypost.client import Client

    given = _given(texts)
    with Client(address_or_running(address), timeout=timeout) as client:
        result = client.embed(given, model=model, dimensions=dimensions, truncate=truncate, no_store=no_store)
    if json:
        return show.as_json(result)
    size = result.vectors.shape[1]
    rows = (
        (show.shortened(text), usage.tokens, "  ".join(f"{x:+.4f}" for x in vector[:4]) + "  …")
        for text, usage, vector in zip(given, result.usage, result.vectors, strict=True)
    )
    show.table(f"{len(given)} x {size}", ("text", "tokens ", "vector"), rows)
    show.served(result.served, result.timings)


def classify(
    texts: Texts = None,
    address: Address = "",
    model: Model = "",
    head: Annotated[str, typer.Option(help='Label set, such as "intent" or "sentiment".')] = "",
    top_k: Annotated[int, typer.Option(help="Labels per text; 0: all.", min=0)] = 3,
    threshold: Annotated[float, typer.Option(help="Leave out labels scored below.")] = 0.0,
    truncate: Truncate = False,
    no_store: NoStore = False,
    timeout: Timeout = 60.0,
    json: Json = False,
) -> None:
    """Labels of texts, with calibrated scores."""
    from waypost.client import Client

    given = _given(texts)
    with Client(address_or_running(address), timeout=timeout) as client:
        result = client.classify(
            given, model=model, head=head, top_k=top_k, threshold=threshold, truncate=truncate, no_store=no_store
        )
    if json:
        return show.as_json(result)
    rows = ((show.shortened(text), show.labels(one)) for text, one in zip(given, result.results, strict=True))
    show.table(result.head, ("text", "labels"), rows)
    show.served(result.served, result.timings)


def rerank(
    query: Annotated[str, typer.Argument(help="What the documents are ordered against.")],
    documents: Annotated[list[str] | None, typer.Argument(help="Without any, one a line from standard input.")] = None,
    address: Address = "",
    model: Model = "",
    top_k: Annotated[int, typer.Option(help="Documents shown; 0: all.", min=0)] = 0,
    truncate: Truncate = False,
    no_store: NoStore = False,
    timeout: Timeout = 60.0,
    json: Json = False,
) -> None:
    """Documents ordered against a query, best first."""
    from waypost.client import Client

    given = _given(documents)
    with Client(address_or_running(address), timeout=timeout) as client:
        result = client.rerank(query, given, model=model, top_k=top_k, truncate=truncate, no_store=no_store)
    if json:
        return show.as_json(result)
    rows = ((each.index, f"{each.score:+.4f}", show.shortened(each.document)) for each in result.ranking)
    show.table(f"{show.shortened(query)} ({result.method})", ("# ", "score ", "document"), rows)
    show.served(result.served, result.timings)


def _given(texts: list[str] | None) -> list[str]:
    if texts:
        return texts
    if sys.stdin.isatty():
        raise CommandError("no texts: give them as arguments, or one a line on standard input", WRONG_USAGE)
    return sys.stdin.read().splitlines()
