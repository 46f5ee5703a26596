"""`waypost logs`: what the router decided, as it stands in its decision log; one call explained; levels of the logs.

Lines come from the log's files, which go back for days, or with --address from a router elsewhere, which keeps the last
thousands in memory.
"""

from __future__ import annotations

import json as json_
import threading
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waypost import logfile, places
from waypost.cli import decision, show
from waypost.cli.failures import CommandError
from waypost.cli.interrupt import on_ctrl_c
from waypost.cli.options import Address, Json, Timeout, address_or_running, duration

if TYPE_CHECKING:
    from waypost.client import Client

Line = Mapping[str, Any]

LOOK_S = 0.5
"""Pause between looks at a router elsewhere."""
KEPT = 10_000
"""More than a router keeps."""

group = typer.Typer(help="What was decided: read, follow, filter and explain it.")

File = Annotated[Path | None, typer.Option(help="The log; without it, that in Waypost's home.")]
Elsewhere = Annotated[
    str, typer.Option("--address", envvar="WAYPOST_ADDRESS", help="Ask this router, instead of reading a file.")
]
Time = Annotated[Any, typer.Option(parser=duration, metavar="TIME", help="Of the last 30m, 2h, 7d.")]
Slow = Annotated[Any, typer.Option(parser=duration, metavar="TIME", help="That took longer than 100ms, 2s.")]


@dataclass(frozen=True)
class Wanted:
    """Which calls are of interest; what is empty is not looked at.

    Attributes:
        since: that came in not before this moment.
        slower_s: that took longer, in seconds.
        model, instance: that were asked, be it in vain.
        code: such as "RESOURCE_EXHAUSTED".
        reason: in one of the reasons' words, such as "canary".
        method: part of its name, such as "embed".
        request, trace: how an id begins.
    """

    since: datetime | None = None
    slower_s: float = 0.0
    model: str = ""
    instance: str = ""
    tenant: str = ""
    code: str = ""
    reason: str = ""
    method: str = ""
    request: str = ""
    trace: str = ""

    def __call__(self, line: Line) -> bool:
        return (
            (not self.since or decision.moment(line) >= self.since)
            and line["latency_ms"] >= self.slower_s * 1e3
            and self.tenant in ("", line.get("tenant"))
            and self.code.upper() in ("", line["code"])
            and self.reason in decision.reason(line)
            and self.method.lower() in line["method"].lower()
            and str(line.get("request_id") or "").startswith(self.request)
            and decision.trace_id(line).startswith(self.trace)
            and _asked(self.model, line, "model", "hops", "model")
            and _asked(self.instance, line, "chosen", "attempts", "instance")
        )


def _asked(name: str, line: Line, field: str, several: str, each: str) -> bool:
    return not name or line.get(field) == name or any(one[each] == name for one in line[several])


@group.callback(invoke_without_command=True)
def logs(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    last: Annotated[int, typer.Option("--last", "-n", help="So many of the last; 0: all.", min=0)] = 20,
    since: Time = None,
    slower: Slow = None,
    model: Annotated[str, typer.Option(help="That this model was asked.")] = "",
    instance: Annotated[str, typer.Option(help="That were tried at this instance.")] = "",
    tenant: Annotated[str, typer.Option(help="Of this tenant.")] = "",
    code: Annotated[str, typer.Option(help='That ended so, such as "RESOURCE_EXHAUSTED".')] = "",
    reason: Annotated[str, typer.Option(help='With this in a reason, such as "canary" or "poor".')] = "",
    method: Annotated[str, typer.Option(help='Of methods with this in their name, such as "Embed".')] = "",
    request: Annotated[str, typer.Option(metavar="ID", help="Of this request id, or its beginning.")] = "",
    trace: Annotated[str, typer.Option(metavar="ID", help="Of this trace, or its beginning.")] = "",
    file: File = None,
    address: Elsewhere = "",
    json: Json = False,
) -> None:
    """The router's decisions, the latest last: when, what, who answered, how long it took and how it ended.

    With --json each line is one of the log's, as `waypost logs schema` describes it.
    """
    if context.invoked_subcommand:
        return
    begin = datetime.now(UTC) - timedelta(seconds=since) if since else None
    wanted = Wanted(begin, slower or 0.0, model, instance, tenant, code, reason, method, request, trace)
    say = _say_json if json else _say
    with _source(file, address) as source:
        for line in source.last(wanted, last):
            say(line)
        if follow:
            stop = threading.Event()
            with on_ctrl_c(stop.set):
                for line in source.follow(wanted, stop):
                    say(line)


def _say_json(line: Line) -> None:
    print(json_.dumps(line, ensure_ascii=False), flush=True)


def _say(line: Line) -> None:
    """One line of the terminal; elsewhere, as long as it is."""
    console, now = show.console(), datetime.now().astimezone()
    if console.is_terminal:
        console.print(decision.brief(line, console.width, now), no_wrap=True, overflow="ellipsis")
    else:
        console.print(decision.brief(line, decision.WIDE, now), soft_wrap=True)


@group.command("explain")
def explain(
    request_id: Annotated[str, typer.Argument(help="Of the answer, or of the log; its beginning will do.")],
    file: File = None,
    address: Elsewhere = "",
    json: Json = False,
) -> None:
    """What happened to one call: its prompt's features, the models and replicas considered, attempts, times, cost.

    The id stands below an answer, in `reply.routing.request_id`, in the trailer `waypost-request-id`, in the header
    X-Request-Id, and in the log.
    """
    with _source(file, address) as source:
        found = source.last(Wanted(request=request_id), 0)
        if not found:
            raise CommandError(f"no decision of a request {request_id!r} {source.where()}")
    if json:
        return show.as_json(found)
    console = show.console()
    for line in _one_call(request_id, found):
        for part in decision.told(line):
            console.print(part)


def _one_call(request_id: str, found: Sequence[Line]) -> Sequence[Line]:
    """The decisions of one request: callers may give several calls the same id.

    Raises:
        CommandError: several ids begin so.
    """
    exact = [line for line in found if line["request_id"] == request_id]
    ids = dict.fromkeys(str(line["request_id"]) for line in found)
    if not exact and len(ids) > 1:
        some = ", ".join(list(ids)[:5]) + (", …" if len(ids) > 5 else "")
        raise CommandError(f"{len(ids)} request ids begin with {request_id!r}: {some}")
    return exact or found


@group.command("level")
def level(
    level: Annotated[str, typer.Argument(help='"debug", "info", "warning" or "error".')],
    instance: Annotated[str, typer.Option(help="Only of this instance, or of this router; without it, of all.")] = "",
    address: Address = "",
    timeout: Timeout = 5.0,
    json: Json = False,
) -> None:
    """Change what processes write to their own logs, until they end; takes the role operate."""
    from waypost.client import Client

    with Client(address_or_running(address), timeout=timeout) as client:
        changed = client.set_log_level(level, instance)
    if json:
        return show.as_json({"level": level, "instances": changed})
    show.console().print(f"{level}: {', '.join(changed) or 'nobody'}", markup=False)


@group.command("schema")
def schema() -> None:
    """The JSON Schema of the decision log's lines."""
    print((files("waypost") / "decision.schema.json").read_text(), end="")


# ---- where lines come from ----


class Source(ExitStack):
    """Something that has lines; leave it when they are read."""

    @abstractmethod
    def last(self, wanted: Wanted, most: int) -> Sequence[Line]:
        """The last that are wanted, the oldest first; 0: all of them."""

    @abstractmethod
    def follow(self, wanted: Wanted, stop: threading.Event) -> Iterator[Line]:
        """Those that come after the source was made."""

    @abstractmethod
    def where(self) -> str:
        """Where was looked, and how far that goes back."""


def _source(file: Path | None, address: str) -> Source:
    return Router(address) if address and not file else LogFile(file or places.log("decisions"))


class LogFile(Source):
    """The decision log of this machine."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._tail = self.enter_context(closing(logfile.Tail(path)))

    def last(self, wanted: Wanted, most: int) -> Sequence[Line]:
        try:
            return logfile.last(self._path, wanted, most, json_.dumps(wanted.request)[1:-1].encode())
        except FileNotFoundError:
            fix = "run this on the router's machine, name --file, or ask a router by --address"
            raise CommandError(f"no decision log at {self._path}: {fix}") from None

    def follow(self, wanted: Wanted, stop: threading.Event) -> Iterator[Line]:
        return logfile.follow(self._tail, wanted, stop)

    def where(self) -> str:
        oldest = logfile.first(self._path)
        back = f", which goes back to {decision.moment(oldest).astimezone():%Y-%m-%d %H:%M:%S}" if oldest else ""
        return f"in {self._path}{back}"


class Router(Source):
    """A router, which keeps its latest decisions."""

    def __init__(self, address: str) -> None:
        from waypost.client import Client

        super().__init__()
        self._client: Client = self.enter_context(Client(address, timeout=5.0))
        self._seen = 0

    def last(self, wanted: Wanted, most: int) -> Sequence[Line]:
        found = [line for line in self._more() if wanted(line)]
        return found[-most:]

    def follow(self, wanted: Wanted, stop: threading.Event) -> Iterator[Line]:
        while not stop.wait(LOOK_S):
            yield from filter(wanted, self._more())

    def _more(self) -> Iterable[Line]:
        found = self._client.decisions(KEPT, after=self._seen)
        self._seen = max((each.number for each in found), default=self._seen)
        return [each.line for each in found]

    def where(self) -> str:
        return f"among the {self._seen:,} latest that {self._client.address} keeps"
