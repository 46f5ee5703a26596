"""Output: tables for people, JSON for programs; nothing else goes to stdout."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod
    from rich.table import Table

    from waypost.results import Classification, ServedBy, Timings


def console(*, stderr: bool = False) -> Console:
    """Where tables go."""
    from rich.console import Console

    return Console(highlight=False, stderr=stderr)


def as_json(value: Any) -> None:
    """Prints a result, a list of them, or plain data, as one JSON document."""
    print(json.dumps(value, default=_plain, ensure_ascii=False), flush=True)


def table(
    title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]], styles: Iterable[str] = itertools.repeat("")
) -> None:
    """Prints a `grid`."""
    console().print(grid(title, columns, rows, styles))


def grid(
    title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]], styles: Iterable[str] = itertools.repeat("")
) -> Table:
    """Rows under a title, each in its style; columns that end in a space are right-aligned.

    Square brackets in cells are just that: texts of callers and models are not markup.
    """
    from rich.table import Table
    from rich.text import Text

    made = Table(title=Text(title), title_justify="left", header_style="bold")
    for column in columns:
        right = column.endswith(" ")
        justify: JustifyMethod = "right" if right else "left"
        made.add_column(column.strip(), justify=justify, overflow="fold", no_wrap=right or not made.columns)
    for row, style in zip(rows, styles, strict=False):
        made.add_row(*(Text(printable(str(cell))) for cell in row), style=style)
    return made


_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What could move the cursor, or worse; line ends and tabs stay."""


def printable(text: str) -> str:
    """A text without what a terminal would take for a command."""
    return _CONTROLS.sub("", text)


def labels(of: Classification) -> str:
    """Labels with their scores, best first."""
    scored = [f"{each.label} {each.score:.2f}" for each in of.labels]
    return ", ".join((["out of scope"] if of.out_of_scope else []) + scored)


def served(by: ServedBy, timings: Timings) -> None:
    """Prints who answered, and where the time went."""
    stages = ", ".join(f"{name} {milliseconds(value)}" for name, value in dataclasses.asdict(timings).items())
    console().print(f"[dim]{by.model} {by.version} on {by.instance}: {stages}[/dim]")


def milliseconds(seconds: float) -> str:
    """A duration for people."""
    return f"{seconds * 1e3:.2f} ms"


def percent(share: float) -> str:
    """A share for people."""
    return f"{share * 100:.3g} %"


def usd(amount: float) -> str:
    """Money for people: cents at least, millionths at most."""
    whole, _, cents = f"{amount:.6f}".partition(".")
    return f"{whole}.{cents.rstrip('0'):0<2} USD"


def gauge(share: float, width: int = 8) -> str:
    """A share from 0 to 1 as a bar and a number."""
    return f"{bar(share, width):<{width}} {share:.2f}"


def bar(share: float, width: int) -> str:
    """A share from 0 to 1 of so many letters."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    return "█" * (eighths // 8) + ("", *"▏▎▍▌▋▊▉")[eighths % 8]


def shortened(text: str, width: int = 60) -> str:
    """One line of at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    raise TypeError(f"{type(value).__name__} has no JSON form")
