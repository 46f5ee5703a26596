"""`waypost audit`: who changed what, and who was refused."""

from __future__ import annotations

import json as json_
import threading
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from waypost import logfile, places
from waypost.cli import show
from waypost.cli.failures import CommandError
from waypost.cli.options import Json, duration

COLUMNS = ("when", "who and where", "what, and how it ended")

Since = Annotated[Any, typer.Option(parser=duration, metavar="TIME", help="Of the last 30m, 2h, 7d.")]


def audit(
    since: Since = None,
    who: Annotated[str, typer.Option(help="Of this tenant, role, or token (its eight digits).")] = "",
    method: Annotated[str, typer.Option(help='Of methods with this in their name, such as "Token".')] = "",
    outcome: Annotated[str, typer.Option(help='That ended so, such as "PERMISSION_DENIED".')] = "",
    last: Annotated[int, typer.Option("--last", "-n", help="So many of the last; 0: all.", min=0)] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    file: Annotated[Path | None, typer.Option(help="The log; without it, that in Waypost's home.")] = None,
    json: Json = False,
) -> None:
    """Changes and refusals, as the router of this machine has written them down."""
    from router.audit import Wanted

    path = file or places.log("audit")
    begin = datetime.now(UTC) - timedelta(seconds=since) if since else None
    wanted = Wanted(begin, who, method, outcome)
    with closing(logfile.Tail(path)) as tail:
        try:
            found = logfile.last(path, wanted, last)
        except FileNotFoundError:
            raise CommandError(f"no audit log at {path}: run this on the router's machine, or name --file") from None
        if follow:
            _say_all(found)
            return _say_all(logfile.follow(tail, wanted, threading.Event()))
    if json:
        return show.as_json(found)
    show.table(str(path), COLUMNS, map(_row, found), (_style(line) for line in found))


def _say_all(lines: Iterable[Mapping[str, Any]]) -> None:
    """One JSON document a line: a table would have to know its end."""
    for line in lines:
        print(json_.dumps(line, ensure_ascii=False), flush=True)


def _row(line: Mapping[str, Any]) -> tuple[str, str, str]:
    """Few columns of several lines, which a terminal of 80 letters has room for."""
    seen = datetime.fromisoformat(str(line.get("timestamp")))
    return f"{seen.astimezone():%m-%d %H:%M:%S}", f"{_who(line)}\n{_where(line)}", _what(line)


def _who(line: Mapping[str, Any]) -> str:
    who = line.get("who") or {}
    known = [str(who[key]) for key in ("tenant", "role", "token") if who.get(key)]
    return " ".join(known) or "unknown"


def _where(line: Mapping[str, Any]) -> str:
    door = line.get("door")
    return f"{line.get('from')}" + (f" by {door}" if door not in (None, "front") else "")


def _what(line: Mapping[str, Any]) -> str:
    method = str(line.get("method", "")).removeprefix("/waypost.v1.")
    detail = show.shortened(str(line.get("detail") or ""))
    return "\n".join(each for each in (f"{method}: {line.get('outcome')}", detail) if each)


def _style(line: Mapping[str, Any]) -> str:
    return "" if line.get("outcome") == "OK" else "red"
