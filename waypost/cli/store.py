"""`waypost store`: the log of calls: how it is, what is in it, what goes out of it.

The database is that of the configuration's `router.store`; routers may write to it meanwhile.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waypost import config
from waypost.cli import show
from waypost.cli.failures import WRONG_USAGE, CommandError
from waypost.cli.options import ConfigFile, Json, duration

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from router.store.cold import Cold
    from router.store.reading import Reader
    from waypost._config_store import Store

group = typer.Typer(help="The log of calls: search, export, forget, compact.", no_args_is_help=True)

Url = Annotated[
    str,
    typer.Option(
        envvar="WAYPOST_STORE",
        help='The database, instead of the configuration\'s: "sqlite:/path" or "postgresql://user@host/name".',
        show_default=False,
    ),
]
Time = Annotated[Any, typer.Option(parser=duration, metavar="TIME", help="Of the last 30m, 2h, 7d.")]
Ago = Annotated[Any, typer.Option(parser=duration, metavar="TIME", help="Not of the last 30m, 2h, 7d.")]
Tenant = Annotated[str, typer.Option(help="Of this tenant.")]
Task = Annotated[str, typer.Option(help="generate, embed, classify, rerank, retrieve.")]
Model = Annotated[str, typer.Option(help="Answered by this model.")]
Older = Annotated[
    Any,
    typer.Option(
        parser=duration, metavar="TIME", help="Calls older than 12h, 7d; without it, router.store.compact_days."
    ),
]
Status = Annotated[str, typer.Option(help="That ended so, such as OK or UNAVAILABLE.")]

BRIEF = ("time", "task", "model", "instance", "status", "latency_ms", "completion_tokens", "cost_usd", "request_id")
HEADINGS = ("time", "task", "model", "instance", "status", "took ", "tokens ", "cost ", "request")
FORMATS = ("jsonl", "parquet")


@dataclass(frozen=True)
class Opened:
    """A store that is there."""

    config: Store
    engine: Engine
    cold: Cold
    reader: Reader

    def names(self, name: str) -> tuple[str, ...]:
        """What a name may be called in it: so, or by its hash."""
        from router.store import place

        hide = place.anonymous(self.config)
        return tuple(filter(None, (name, hide.name(name) if hide and name else None)))


@contextmanager
def _opened(config_file: Path | None, url: str) -> Iterator[Opened]:
    from sqlalchemy.exc import SQLAlchemyError

    from router.store import place
    from router.store.cold import Cold, NoParquet
    from router.store.reading import Reader
    from router.store.writer import words
    from waypost import database

    store = config.load(config_file).router.store
    store = type(store).model_validate({**store.model_dump(), **({"url": url} if url else {})})
    _is_there(store)
    engine = place.engine(store)
    try:
        database.upgrade(engine)
        cold = Cold(engine, place.cold(store))
        yield Opened(store, engine, cold, Reader(engine, cold))
    except SQLAlchemyError as error:
        raise CommandError(f"{database.shown(str(engine.url))}: {words(error)}") from None
    except (database.DatabaseTooNew, NoParquet) as error:
        raise CommandError(str(error)) from None
    finally:
        engine.dispose()


def _is_there(store: Store) -> None:
    """A file is made by the router that writes to it, and not by who looks."""
    from router.store import place

    path = place.file() if store.url == "file" else Path(store.url.removeprefix("sqlite:"))
    if not store.url.startswith("postgresql:") and not path.exists():
        raise CommandError(f"no log of calls at {path}: set router.store.enabled, or name --config or --url")


@group.command("status")
def status(config_file: ConfigFile = None, url: Url = "", json: Json = False) -> None:
    """How much is in it, since when, and what still waits for the database."""
    from router.store import place, reading
    from router.store.journal import waiting

    with _opened(config_file, url) as store:
        oldest, newest = reading.span(store.engine)
        files = store.cold.files()
        found = {
            "url": str(store.engine.url.render_as_string(hide_password=True)),
            "bytes": reading.size(store.engine),
            "rows": reading.counts(store.engine),
            "oldest": oldest,
            "newest": newest,
            "cold": {
                "files": len(files),
                "rows": sum(file.rows for file in files),
                "bytes": sum(file.bytes for file in files),
                "was_bytes": sum(file.was_bytes for file in files),
                "oldest": files[0].first if files else None,
            },
            "journals": waiting(place.journals()),
        }
    if json:
        return show.as_json(found)
    _show_status(found)


def _show_status(found: dict[str, Any]) -> None:
    say, cold = show.console(), found["cold"]
    say.print(
        f"{found['url']}: {_size(found['bytes'])}, calls from {_when(found['oldest'])} to {_when(found['newest'])}"
    )
    if cold["files"]:
        smaller = 1 - cold["bytes"] / cold["was_bytes"] if cold["was_bytes"] else 0.0
        since = f"{cold['rows']:,} calls since {_when(cold['oldest'])}"
        say.print(f"cold: {since} in {_size(cold['bytes'])}, {show.percent(smaller)} less than as lines of JSON")
    say.print(
        f"journals: {_size(sum(found['journals'].values()))}, of which the database may have all but the last second"
    )
    show.table("rows", ("table", "rows "), ((name, f"{count:,}") for name, count in found["rows"].items()))


@group.command("query")
def query(
    since: Time = None,
    until: Ago = None,
    tenant: Tenant = "",
    task: Task = "",
    model: Model = "",
    instance: Annotated[str, typer.Option(help="Answered by this instance.")] = "",
    status: Status = "",
    request: Annotated[str, typer.Option(help="Of this name.")] = "",
    slower: Annotated[Any, typer.Option(parser=duration, metavar="TIME", help="That took at least 100ms, 2s.")] = None,
    last: Annotated[int, typer.Option(help="At most so many, the newest.", min=1)] = 20,
    by: Annotated[str, typer.Option(help="Sums instead of calls, by day,model,tenant,… (several, with commas).")] = "",
    config_file: ConfigFile = None,
    url: Url = "",
    json: Json = False,
) -> None:
    """Calls, the newest first; with --by, how many there were, how long they took and what they cost.

    With --json a call has everything that is known of it: also its texts, where they are kept, and the decision.
    """
    from router.store.cold import COLUMNS
    from router.store.reading import Wanted

    groups = _groups(by)
    with _opened(config_file, url) as store:
        tenants, requests = store.names(tenant), store.names(request)
        slower_ms = slower * 1e3 if slower else 0.0
        since, until = _moments(since, until)
        wanted = Wanted(since, until, tenants, requests, task, model, instance, status.upper(), slower_ms)
        if groups:
            return _show_sums(groups, store.reader.sums(wanted, groups), json)
        found = store.reader.latest(wanted, last, COLUMNS if json else BRIEF)
    if json:
        return _print_lines(found)
    show.table(
        "calls",
        ("time", "task", "model", "instance", "status", "took ", "tokens ", "cost ", "request"),
        map(_row, found),
    )


def _groups(by: str) -> tuple[str, ...]:
    from router.store.reading import GROUPS

    groups = tuple(filter(None, (each.strip() for each in by.split(","))))
    if unknown := [each for each in groups if each not in GROUPS]:
        raise CommandError(f"--by {unknown[0]}: not one of {', '.join(GROUPS)}", WRONG_USAGE)
    return groups


def _show_sums(groups: tuple[str, ...], found: list[dict[str, Any]], json: bool) -> None:
    if json:
        return show.as_json(found)
    rows = (
        (
            *(each[name] or "" for name in groups),
            f"{each['calls']:,}",
            show.percent(each["failed"] / each["calls"]),
            show.milliseconds(each["p50_ms"] / 1e3),
            show.milliseconds(each["p95_ms"] / 1e3),
            f"{each['completion_tokens']:,}",
            show.usd(each["cost_usd"]),
        )
        for each in found
    )
    show.table("calls", (*groups, "calls ", "failed ", "p50 ", "p95 ", "tokens ", "cost "), rows)


@group.command("export")
def export(
    file: Annotated[Path, typer.Argument(help='Where to; "-" is stdout.')],
    table: Annotated[str, typer.Option(help="Also feedback, audit, rollouts, models.")] = "model_inferences",
    format: Annotated[str, typer.Option(help="jsonl, or parquet for calls.")] = "jsonl",
    since: Time = None,
    until: Ago = None,
    tenant: Tenant = "",
    task: Task = "",
    model: Model = "",
    config_file: ConfigFile = None,
    url: Url = "",
) -> None:
    """A table as lines of JSON or as Parquet, cold rows included, only for this user to read."""
    from router.store.reading import TABLES, Wanted

    if table not in TABLES:
        raise CommandError(f"--table {table}: not one of {', '.join(TABLES)}", WRONG_USAGE)
    if format not in FORMATS or (format == "parquet" and (table != "model_inferences" or str(file) == "-")):
        raise CommandError(f"--format {format}: jsonl, or parquet for model_inferences into a file", WRONG_USAGE)
    with _opened(config_file, url) as store:
        since, until = _moments(since, until)
        wanted = Wanted(since, until, store.names(tenant), task=task, model=model)
        rows = store.reader.table(TABLES[table], wanted)
        count = _to_parquet(file, rows) if format == "parquet" else _to_lines(file, rows)
    show.console(stderr=True).print(f"{count:,} rows of {table} to {file}")


def _to_parquet(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    from router.store.cold import GROUP_ROWS, Writing

    try:
        file = Writing(path)
    except FileExistsError:
        raise CommandError(f"{path} is there already: name another file") from None
    for part in _parts(rows, GROUP_ROWS):
        file.write(part)
    file.close()
    return file.rows


def _to_lines(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    from router.store.cold import json_line

    with _output(path) as file:
        return sum(1 for row in rows if file.write(json_line(row)))


@contextmanager
def _output(path: Path) -> Iterator[Any]:
    if str(path) == "-":
        yield sys.stdout.buffer
        return
    try:
        with path.open("xb") as file:
            path.chmod(0o600)
            yield file
    except FileExistsError:
        raise CommandError(f"{path} is there already: name another file") from None


def _parts(rows: Iterable[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    from itertools import islice

    several = iter(rows)
    while part := [*islice(several, size)]:
        yield part


@group.command("forget")
def forget(
    tenant: Annotated[str, typer.Option(help="Whose rows are removed: calls, feedback and audit.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config_file: ConfigFile = None,
    url: Url = "",
    json: Json = False,
) -> None:
    """Remove everything of a tenant from the database and from cold files; logs and exports are not looked at."""
    from router.store import retention

    if not yes:
        typer.confirm(f"Remove all rows of {tenant}?", abort=True)
    with _opened(config_file, url) as store:
        names = store.names(tenant)
        removed = retention.forget(store.engine, names) + store.cold.forget(names)
    if json:
        return show.as_json({"tenant": tenant, "rows": removed})
    show.console().print(f"{removed:,} rows of {tenant} removed")


@group.command("compact")
def compact(
    older: Older = None,
    config_file: ConfigFile = None,
    url: Url = "",
    json: Json = False,
) -> None:
    """Move old calls to Parquet files; the router does so by itself every hour, by whole days."""
    with _opened(config_file, url) as store:
        age = timedelta(seconds=older) if older else timedelta(days=store.config.compact_days)
        moved = store.cold.compact(datetime.now(UTC) - age)
    if json:
        return show.as_json({"rows": moved.rows, "bytes": moved.bytes, "was_bytes": moved.was_bytes})
    less = f", {show.percent(moved.share)} less than as lines of JSON" if moved.rows else ""
    show.console().print(f"{moved.rows:,} calls moved, to {_size(moved.bytes)}{less}")


@group.command("models")
def models(config_file: ConfigFile = None, url: Url = "", json: Json = False) -> None:
    """Versions of models that were trained: those of this home are added, all of the database are shown."""
    from router.store import models as known

    with _opened(config_file, url) as store:
        known.put(store.engine, [*_trained_here()])
        found = known.versions(store.engine)
    if json:
        return show.as_json(found)
    rows = ((each["name"], each["version"], _when(each["created"]), each["parent"] or "") for each in found)
    show.table("models", ("name", "version", "known since", "made from"), rows)


def _trained_here() -> Iterator[dict[str, Any]]:
    """As rows; a training whose run log is gone has no card."""
    from waypost.catalogue import describe, lineage

    for each in lineage.registered():
        line = each.lineage
        try:
            card = describe.of_log(lineage.run_log(Path(each.path))).model_dump(mode="json")
        except lineage.NoRunLog:
            card = None
        yield {
            "name": line.name,
            "version": line.version,
            "created": datetime.now(UTC),
            "parent": f"{line.parent.name}@{line.parent.version}" if line.parent else None,
            "dataset_hash": line.data.sha256,
            "hyperparameters": {"seed": line.seed, "spec": line.spec, "settings": line.settings},
            "card": card,
        }


# ---- how it is shown ----


def _moments(since: float | None, until: float | None) -> tuple[datetime | None, datetime | None]:
    now = datetime.now(UTC)
    begin, end = (now - timedelta(seconds=each) if each else None for each in (since, until))
    return begin, end


def _print_lines(rows: Iterable[dict[str, Any]]) -> None:
    from router.store.cold import json_line

    print(f"[{','.join(json_line(row).decode().strip() for row in rows)}]")


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    cost = show.usd(row["cost_usd"]) if row["cost_usd"] else ""
    names = (row["task"], row["model"] or "", row["instance"] or "", row["status"])
    took = show.milliseconds(row["latency_ms"] / 1e3) if row["latency_ms"] is not None else ""
    return _when(row["time"]), *names, took, str(row["completion_tokens"] or ""), cost, row["request_id"] or ""


def _when(moment: datetime | None) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}" if moment else "never"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} GiB"
