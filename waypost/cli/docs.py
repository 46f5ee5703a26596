"""`waypost docs`: documents of the mesh's memory: put them in, find them, look at them, take them out."""

from __future__ import annotations

import json as json_
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waypost.cli import show
from waypost.cli.failures import WRONG_USAGE, CommandError
from waypost.cli.options import Address, Json, Model, Timeout, address_or_running, duration, given
from waypost.cli.where import Where, filter_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from waypost.documents import Document, Namespace, QueryResults, ScoredDocument

group = typer.Typer(help="Documents: store them, find them by meaning and by words.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAMESPACE", help="Where the documents are; made when it is not there.")]
Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILES…", help="Texts, JSON lines, CSV, or folders of them; - reads JSON lines from standard input."
    ),
]
Ids = Annotated[list[str] | None, typer.Argument(metavar="IDS…", help="Documents by id.")]
Tenant = Annotated[str, typer.Option(help="Whose namespace, for operators; without it, your own.")]
FOREVER = "forever"


def retention(text: str) -> float | str:
    """Seconds, or for good."""
    return FOREVER if text.strip() == FOREVER else duration(text)


@group.command()
def add(
    namespace: Name,
    files: Files,
    ttl: Annotated[Any, typer.Option(parser=duration, metavar="TIME", help="Forget them after 30m, 12h, 7d.")] = None,
    piece: Annotated[int, typer.Option(help="Most characters of a piece of a text.", min=50)] = 1000,
    glob: Annotated[str, typer.Option(help='Files of folders that are read, such as "*.py".')] = "",
    id_field: Annotated[str, typer.Option(help="Field or column with the id.")] = "id",
    text_field: Annotated[str, typer.Option(help="Field or column with the text.")] = "text",
    truncate: Annotated[
        bool, typer.Option("--truncate/--no-truncate", help="Embed the beginning of what is too long, or refuse it.")
    ] = True,
    model: Model = "",
    tenant: Tenant = "",
    address: Address = "",
    timeout: Timeout = 3600.0,
    json: Json = False,
) -> None:
    """Store documents; those that are there already are replaced, and what a file no longer says is removed."""
    from waypost.cli import docs_files
    from waypost.cli.docs_add import STANDARD_INPUT, Import
    from waypost.client import Client

    known = [path for path in files if path != STANDARD_INPUT]
    paths = [*docs_files.found(known, glob), *([STANDARD_INPUT] if len(known) < len(files) else [])]
    reader = docs_files.Reader(docs_files.Names(id_field, text_field), piece)
    with Client(address_or_running(address), timeout=timeout) as client, _counter(namespace) as say:
        run = Import(client, namespace, reader, given(model=model, tenant=tenant))
        done = run.run(paths, say, ttl=ttl, truncate=truncate)
    if json:
        return show.as_json(done)
    removed = f", {done.removed} pieces that are no more removed" if done.removed else ""
    show.console().print(f"{namespace}: {done.added} added, {done.replaced} replaced{removed}", markup=False)


@group.command()
def query(
    namespace: Name,
    text: Annotated[str, typer.Argument(help="What is looked for.")],
    top_k: Annotated[int, typer.Option("--top-k", "-k", help="Most documents.", min=1)] = 5,
    mode: Annotated[str, typer.Option(help='"dense" (by meaning), "bm25" (by words) or "hybrid" (both).')] = "",
    where: Where = None,
    rerank: Annotated[bool, typer.Option("--rerank", help="Have the best read again by the reranker.")] = False,
    snippets: Annotated[int, typer.Option(help="Passages of each document that suit best.", min=0)] = 1,
    truncate: Annotated[bool, typer.Option(help="Cut a query that is too long, instead of refusing it.")] = False,
    model: Model = "",
    tenant: Tenant = "",
    address: Address = "",
    timeout: Timeout = 60.0,
    json: Json = False,
) -> None:
    """Find documents."""
    from waypost.client import Client

    options = given(model=model, tenant=tenant, filter=filter_of(where))
    with Client(address_or_running(address), timeout=timeout) as client:
        found = client.query(
            text,
            namespace=namespace,
            top_k=top_k,
            mode=mode,
            rerank=rerank,
            snippets=snippets,
            truncate=truncate,
            **options,
        )
    if json:
        return show.as_json(found)
    _show_found(found)


@group.command()
def get(
    namespace: Name,
    ids: Annotated[list[str], typer.Argument(metavar="IDS…", help="Documents by id.")],
    vectors: Annotated[bool, typer.Option("--vectors", help="With their vectors; for --json.")] = False,
    model: Model = "",
    tenant: Tenant = "",
    address: Address = "",
    timeout: Timeout = 60.0,
    json: Json = False,
) -> None:
    """Show documents whole."""
    from waypost.client import Client

    with Client(address_or_running(address), timeout=timeout) as client:
        found = client.get(ids, namespace=namespace, with_vector=vectors, **given(model=model, tenant=tenant))
    there = {each.id for each in found}
    if missing := [id for id in ids if id not in there]:
        raise CommandError(f"not in {namespace}: {', '.join(missing)}")
    if json:
        return show.as_json(found)
    for each in found:
        _show_whole(each)


@group.command("list")
def list_(
    namespace: Name,
    where: Where = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="Most documents; 0: all.", min=0)] = 20,
    model: Model = "",
    tenant: Tenant = "",
    address: Address = "",
    timeout: Timeout = 60.0,
    json: Json = False,
) -> None:
    """List documents in the order of their ids."""
    from waypost.client import Client

    options = given(model=model, tenant=tenant, filter=filter_of(where), page_size=min(limit, 100))
    with Client(address_or_running(address), timeout=timeout) as client:
        found = list(islice(client.documents(namespace, **options), limit or None))
    if json:
        return show.as_json(found)
    rows = ((each.id, _metadata(each), show.shortened(each.text)) for each in found)
    show.table(namespace, ("document", "metadata", "text"), rows)


@group.command()
def delete(
    namespace: Name,
    ids: Ids = None,
    where: Where = None,
    everything: Annotated[bool, typer.Option("--all", help="The namespace with all that is in it.")] = False,
    model: Model = "",
    tenant: Tenant = "",
    address: Address = "",
    timeout: Timeout = 60.0,
    json: Json = False,
) -> None:
    """Remove documents by id or by what their metadata say, or the whole namespace."""
    from waypost.client import Client

    if sum(map(bool, (ids, where, everything))) != 1:
        raise CommandError("say which: ids, --where, or --all for the namespace itself", WRONG_USAGE)
    options = given(model=model, tenant=tenant)
    with Client(address_or_running(address), timeout=timeout) as client:
        if everything:
            deleted = client.delete_namespace(namespace, **options)
        else:
            deleted = client.delete(ids, namespace=namespace, filter=filter_of(where), **options)
    if json:
        return show.as_json({"deleted": deleted})
    show.console().print(f"{namespace}: {deleted} removed", markup=False)


@group.command()
def namespaces(
    model: Model = "",
    tenant: Tenant = "",
    address: Address = "",
    timeout: Timeout = 60.0,
    json: Json = False,
) -> None:
    """List namespaces, and what they take."""
    from waypost.client import Client

    with Client(address_or_running(address), timeout=timeout) as client:
        found = client.namespaces(**given(model=model, tenant=tenant))
    if json:
        return show.as_json(found)
    _show_namespaces(found)


@group.command("set")
def set_(
    namespace: Name,
    retention: Annotated[
        Any,
        typer.Option(parser=retention, metavar="TIME", help=f'Keep documents for 12h, 30d, or "{FOREVER}".'),
    ],
    model: Model = "",
    tenant: Tenant = "",
    address: Address = "",
    timeout: Timeout = 60.0,
    json: Json = False,
) -> None:
    """Make a namespace, or change how long it keeps documents that say nothing themselves."""
    from waypost.client import Client

    kept = None if retention == FOREVER else retention
    with Client(address_or_running(address), timeout=timeout) as client:
        now = client.set_namespace(namespace, retention=kept, **given(model=model, tenant=tenant))
    if json:
        return show.as_json(now)
    _show_namespaces([now])


@contextmanager
def _counter(namespace: str) -> Iterator[Callable[[int], object]]:
    """A bar that nobody knows the end of, with the number of documents."""
    from rich.progress import TextColumn

    from waypost.cli import progress

    with progress.bar(TextColumn("{task.completed:.0f} documents")) as bar:
        task = bar.add_task(namespace, total=None)
        yield lambda documents: bar.update(task, completed=documents)


def _show_found(found: QueryResults) -> None:
    columns = ("# ", "document", "score ", "meaning ", "words ", "reranked ", "passages")
    rows = [(place, *_found_row(each)) for place, each in enumerate(found.documents, start=1)]
    used = [index for index in range(len(columns)) if any(row[index] for row in rows)]
    shown = [[row[index] for index in used] for row in rows]
    show.table(f"{len(rows)} found", [columns[index] for index in used] or ("document",), shown)
    show.served(found.served, found.timings)


def _found_row(each: ScoredDocument) -> tuple[str, ...]:
    marks = (_mark(each.score), _mark(each.cosine), _mark(each.bm25), _mark(each.rerank))
    passages = [" ".join(snippet.text.split()) for snippet in each.snippets]
    return each.document.id, *marks, "\n".join(passages) or show.shortened(each.document.text)


def _mark(score: float | None) -> str:
    return "" if score is None else f"{score:.3f}"


def _show_whole(document: Document) -> None:
    say = show.console()
    say.print(show.printable(document.id), style="bold", markup=False, soft_wrap=True)
    for name, value in _facts(document):
        say.print(f"{name}: {value}", style="dim", markup=False, soft_wrap=True)
    say.print(show.printable(document.text), markup=False, soft_wrap=True)


def _facts(document: Document) -> Iterable[tuple[str, str]]:
    if document.metadata:
        yield "metadata", show.printable(_metadata(document))
    if document.expires:
        yield "until", f"{document.expires.astimezone():%Y-%m-%d %H:%M:%S}"


def _metadata(document: Document) -> str:
    plain: Mapping[str, Any] = document.metadata
    return json_.dumps(plain, ensure_ascii=False) if plain else ""


def _show_namespaces(found: Iterable[Namespace]) -> None:
    columns = ("namespace", "documents ", "vectors", "kept for", "on disk ", "in memory ")
    show.table("namespaces", columns, map(_namespace_row, found))


def _namespace_row(each: Namespace) -> tuple[object, ...]:
    index = f"{each.dimensions} x, {each.index}" if each.dimensions else ""
    waiting = f", {each.unindexed} not yet in it" if each.unindexed else ""
    return (
        each.name,
        each.documents,
        index + waiting,
        _kept(each.retention),
        _mib(each.disk_bytes),
        _mib(each.memory_bytes),
    )


def _kept(retention: float | None) -> str:
    from datetime import timedelta

    return "good" if retention is None else str(timedelta(seconds=retention))


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
